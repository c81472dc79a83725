"""Downloads a file from a peer with grpcio, using only the .proto files.

Arguments: folder with the .proto files, folder for generated code, HOST:PORT, hash, ticket, output.
"""

import sys

import grpc
from grpc_tools import protoc

protos, generated, address, content, ticket, output = sys.argv[1:]
outputs = [f"--python_out={generated}", f"--grpc_python_out={generated}"]
if protoc.main(["protoc", f"-I{protos}", *outputs, "convite/v1/peer.proto"]) != 0:
    sys.exit("the .proto files do not compile")
sys.path.insert(0, generated)

from convite.v1 import peer_pb2, peer_pb2_grpc  # noqa: E402 (generated above)

bearer = [("authorization", f"Bearer {ticket}")]
with grpc.insecure_channel(address) as channel, open(output, "wb") as file:
    peer = peer_pb2_grpc.PeerStub(channel)
    request = peer_pb2.DownloadFileRequest(hash=bytes.fromhex(content))
    for chunk in peer.DownloadFile(request, metadata=bearer):
        file.seek(chunk.offset)
        file.write(chunk.data)
    held = next(iter(peer.Availability(peer_pb2.AvailabilityRequest(hash=request.hash), metadata=bearer)))
    if not held.whole:
        sys.exit("the peer does not report that it holds the whole file")
    try:
        next(iter(peer.DownloadFile(request)))
        sys.exit("the peer served a request without a ticket")
    except grpc.RpcError as refused:
        if refused.code() != grpc.StatusCode.UNAUTHENTICATED:
            raise
