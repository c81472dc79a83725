"""One member of a BitTorrent swarm: seed or leech TORRENT FOLDER ADDRESS:PORT.

It prints `ready`, reads one line with the addresses of the others, prints `done SECONDS` when the
whole file is on the disk, and serves it until its input ends.
"""

import os
import sys
import time

import libtorrent as lt

role, torrent, folder, address = sys.argv[1:5]
session = lt.session(
    {
        "listen_interfaces": address,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True,
    }
)
wanted = lt.add_torrent_params()
wanted.ti = lt.torrent_info(torrent)
wanted.save_path = folder
wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if role == "seed":
    wanted.flags |= lt.torrent_flags.seed_mode
handle = session.add_torrent(wanted)
while not session.is_listening():
    time.sleep(0.002)
print("ready", flush=True)

others = sys.stdin.readline().split()
start = time.monotonic()
for other in others:
    host, port = other.rsplit(":", 1)
    handle.connect_peer((host, int(port)))
if role == "leech":
    while not handle.status().is_seeding:
        time.sleep(0.002)
    handle.flush_cache()
    file = os.open(os.path.join(folder, wanted.ti.name()), os.O_RDONLY)
    os.fsync(file)
    os.close(file)
    print("done", time.monotonic() - start, flush=True)
sys.stdin.read()
