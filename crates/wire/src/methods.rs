//! The list of gRPC methods. Logs and metrics take method names from this list, because the path of
//! a request can be any text.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::DESCRIPTORS;

/// The methods of the standard services that directories and peers offer.
const STANDARD: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns the paths of all methods, such as `/convite.v1.Directory/Login`.
pub fn grpc_paths() -> HashSet<String> {
    // Written by the build. If it were damaged, server reflection would fail at the start.
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let own = files.file.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            let methods = service.method.iter();
            methods.map(move |m| format!("/{}.{}/{}", file.package(), service.name(), m.name()))
        })
    });
    own.chain(STANDARD.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_standard_methods_are_known() {
        let paths = grpc_paths();
        for path in [
            "/convite.v1.Directory/Login",
            "/convite.v1.Peer/DownloadFile",
            "/grpc.health.v1.Health/Check",
        ] {
            assert!(paths.contains(path), "{path}");
        }
        assert!(!paths.contains("/convite.v1.Directory/Nothing"));
    }
}
