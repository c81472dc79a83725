//! Ownership of a peer id while its peer is online, and changes of addresses of peers and directories.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use xtest::Need;

use crate::harness::{Directory, Home, Process, finish, text, wait_until};

/// Creates a second home of an account.
fn second_home(directory: &Directory, user: &str) -> Home {
    directory.member(user)
}

/// Starts a peer without a given id.
fn nameless(home: &Home) -> (Process, String) {
    fs::create_dir_all(home.path("data")).unwrap();
    let peer = home.start("--json peer --port 0 --share data --bind 127.0.0.1 --no-menu");
    let id = text(&peer.ready(), "id");
    (peer, id)
}

fn status(home: &Home) -> Value {
    home.json("status").ok().objects().remove(0)
}

#[test]
fn two_homes_of_an_account_on_one_machine_are_two_peers() {
    let directory = Directory::with("");
    let (one, other) = (directory.member("dora"), second_home(&directory, "dora"));
    let (first, first_id) = nameless(&one);
    let (_second, second_id) = nameless(&other);
    assert!(first_id.starts_with("dora"), "{first_id}");
    assert_ne!(first_id, second_id);
    let mut listed = vec![first_id.clone(), second_id.clone()];
    listed.sort();
    assert_eq!(one.peers(), listed);
    // The id is saved in the home.
    first.stop().ok();
    let (_first, again) = nameless(&one);
    assert_eq!(again, first_id);
}

#[test]
fn an_online_peer_keeps_its_id_and_its_home_can_restart_it() {
    let directory = Directory::with("");
    let (one, other) = (directory.member("dora"), second_home(&directory, "dora"));
    one.write("data/a.txt", b"of the first");
    let first = one.peer("desk", &one.path("data"), "");
    other.write("data/b.txt", b"of the second");
    let refused = other
        .run("peer desk 0 data --bind 127.0.0.1 --no-menu")
        .ends(1);
    assert!(
        refused.stderr.contains("online as 'desk'"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--id"), "{}", refused.stderr);
    assert_eq!(status(&one)["peer"]["online"], true);
    // After the kill, most of the lease of a minute is left.
    first.kill();
    let refused = other.run("peer desk 0 data --bind 127.0.0.1 --no-menu");
    refused.ends(1);
    let first = one.peer("desk", &one.path("data"), "");
    assert_eq!(one.peers(), ["desk"]);
    // After the peer left, the account can use the id again.
    first.stop().ok();
    let _second = other.peer("desk", &other.path("data"), "");
    assert_eq!(one.peers(), ["desk"]);
}

#[test]
fn a_copied_home_replaces_the_earlier_peer_with_a_message() {
    let directory = Directory::with("--lease 3s");
    let (one, copy) = (directory.member("dora"), Home::new());
    one.write("data/a.txt", b"of the first");
    copy.write("data/a.txt", b"of the first");
    one.peer("desk", &one.path("data"), "").stop().ok();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(one.root())
        .arg(copy.root())
        .status();
    assert!(copied.unwrap().success());
    let _first = one.peer("desk", &one.path("data"), "");
    let _second = copy.peer("desk", &copy.path("data"), "");
    let told = wait_until("the first peer is notified", || {
        let peer = status(&one)["peer"].clone();
        (peer["online"] == false).then(|| peer["trouble"].as_str().unwrap().to_owned())
    });
    assert!(
        told.contains("another process") || told.contains("online as"),
        "{told}"
    );
    // It keeps retrying, and the second peer stays listed.
    let url = status(&copy)["peer"]["url"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        let listed = copy.json("peers").ok().objects().remove(0);
        let addresses = listed["addresses"].to_string();
        assert!(
            addresses.contains(url.rsplit("//").next().unwrap()),
            "{listed}"
        );
        assert_eq!(status(&copy)["peer"]["online"], true);
    }
}

#[test]
fn a_running_peer_uses_the_new_address_of_its_directory() {
    let directory = Directory::with("--lease 3s");
    let ana = directory.member("ana");
    ana.write("data/a.txt", b"a file");
    let _peer = ana.peer("desk", &ana.path("data"), "");
    // The directory moves to another port; nothing listens on the old one.
    let Directory {
        home,
        process,
        port,
        ..
    } = directory;
    process.stop().ok();
    let moved = home.directory(0, "--lease 3s");
    assert_ne!(moved.port, port);
    wait_until("the peer reports that it is not listed", || {
        let standing = status(&ana);
        (standing["reachable"] == false).then_some(())
    });
    ana.run(&format!("join {} --user ana", moved.invite)).ok();
    wait_until("the peer is listed again", || {
        (ana.peers() == ["desk"]).then_some(())
    });
    assert_eq!(status(&ana)["peer"]["online"], true);
}

/// A network namespace with one interface; removed on drop.
struct Network(String);

impl Network {
    /// Returns `None` if network namespaces are not permitted.
    fn new(address: &str) -> Option<Self> {
        if !Need::NetworkNamespace.is_met() {
            return None;
        }
        let network = Self(format!("convite-{}", std::process::id()));
        assert!(ip(&["netns", "add", &network.0]), "{}", network.0);
        for args in [
            &["link", "set", "lo", "up"][..],
            &[
                "link", "add", "eth0", "type", "veth", "peer", "name", "eth1",
            ],
            &["link", "set", "eth1", "up"],
            &["link", "set", "eth0", "up"],
            &["addr", "add", address, "dev", "eth0"],
        ] {
            assert!(network.ip(args), "{args:?}");
        }
        Some(network)
    }

    fn ip(&self, args: &[&str]) -> bool {
        ip(&[&["-n", &self.0], args].concat())
    }

    /// Returns a command of a home that runs in this network.
    fn command(&self, home: &Home, args: &str) -> Command {
        let inner = home.command(args);
        let mut command = Command::new("ip");
        let argv: Vec<OsString> = inner.get_args().map(Into::into).collect();
        command
            .args(["netns", "exec", &self.0])
            .arg(inner.get_program())
            .args(argv)
            .current_dir(inner.get_current_dir().unwrap_or(Path::new(".")))
            .env_clear()
            .stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    fn run(&self, home: &Home, args: &str) -> crate::harness::Finished {
        finish(self.command(home, args))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

fn ip(args: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn changed_network_addresses_are_announced() {
    let Some(network) = Network::new("10.77.0.1/24") else {
        return;
    };
    let (founder, ana) = (Home::new(), Home::new());
    let directory =
        Process::start(network.command(&founder, "--json directory --listen 0.0.0.0:0 --lease 3s"));
    let invite = text(&directory.ready(), "invite");
    assert!(invite.contains("10.77.0.1"), "{invite}");
    network.run(&ana, &format!("join {invite} --user ana")).ok();
    ana.write("data/a.txt", b"a file");
    let peer = Process::start(network.command(&ana, "--json peer desk 0 data --no-menu"));
    peer.ready();
    let listed = || {
        let ran = network.run(&ana, "--json peers");
        ran.objects()
            .first()
            .map(|peer| peer["addresses"].to_string())
    };
    assert!(listed().unwrap().contains("10.77.0.1:"));
    // The machine gets a second address and then loses the first.
    assert!(network.ip(&["addr", "add", "10.77.9.9/24", "dev", "eth0"]));
    let told = |address: &str| {
        let credentials = ana.credentials();
        credentials["addresses"].to_string().contains(address)
    };
    wait_until("the home learns the directory's new address", || {
        told("10.77.9.9").then_some(())
    });
    assert!(network.ip(&["addr", "del", "10.77.0.1/24", "dev", "eth0"]));
    wait_until("the peer is listed only at the new address", || {
        listed()
            .filter(|list| list.contains("10.77.9.9:") && !list.contains("10.77.0.1"))
            .map(drop)
    });
    wait_until("invites name only the new address", || {
        let made = network.run(&ana, "--json invite").ok();
        let link = text(&made.objects()[0], "invite");
        (link.contains("10.77.9.9") && !link.contains("10.77.0.1")).then_some(())
    });
}
