//! Which gRPC methods there are: what a method is called in a log or a metric comes from this list,
//! because the path of a request can be anything.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::DESCRIPTORS;

/// The methods of the standard services that directories and peers have besides their own.
const STANDARD: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The paths of all methods: `/convite.v1.Directory/Login` and so on.
pub fn grpc_paths() -> HashSet<String> {
    // It is what the build wrote; if it were damaged, reflection would say so at the start.
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
