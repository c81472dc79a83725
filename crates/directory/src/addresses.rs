//! Tracks the addresses of this machine, for invite links, the directory's certificate, and the
//! lists sent to peers and replicas.

use std::net::SocketAddr;
use std::sync::Arc;

use convite_core::PeerAddress;
use convite_net::interfaces::InterfaceWatch;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::config::DirectoryConfig;
use crate::tls::{Certificates, leaf_hosts, link_addresses};

/// The inputs that determine the directory's addresses.
pub(crate) struct AddressTracker {
    config: DirectoryConfig,
    listen: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    interfaces: InterfaceWatch,
}

impl AddressTracker {
    pub(crate) fn new(
        config: &DirectoryConfig,
        listen: SocketAddr,
        certificates: Option<Arc<Certificates>>,
    ) -> Self {
        Self {
            // Drop the password, which is not needed here.
            config: DirectoryConfig {
                admin_password: None,
                ..config.clone()
            },
            listen,
            certificates,
            interfaces: InterfaceWatch::new(),
        }
    }

    /// Returns the current addresses for invite links.
    pub(crate) fn addresses(&self) -> Vec<PeerAddress> {
        link_addresses(
            &self.config.public_addresses,
            self.listen,
            self.interfaces.known(),
        )
    }

    /// Applies each change of the network interfaces until `shutdown`. Returns immediately if the
    /// directory listens on a specific address, which does not change.
    pub(crate) async fn run(mut self, service: Arc<Service>, shutdown: CancellationToken) {
        if !self.listen.ip().is_unspecified() {
            return;
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.interfaces.changed() => {}
            }
            let hosts = leaf_hosts(&self.config, self.listen, self.interfaces.known());
            let certified = self.certificates.as_ref().map(|held| held.set_hosts(hosts));
            if let Some(Err(problem)) = certified {
                tracing::error!(error = %problem, "cannot issue a certificate for the new addresses");
            }
            if service.set_addresses(self.addresses()).await {
                let shown: Vec<String> = self.addresses().iter().map(ToString::to_string).collect();
                tracing::info!(
                    "the addresses changed to {}; new invite links contain them",
                    shown.join(", ")
                );
            }
        }
    }
}
