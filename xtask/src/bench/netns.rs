//! Simulated hosts with links of a given rate, on one machine. Each host is a network namespace
//! with one veth to a bridge. The bridge is in a namespace too, so the machine's own network is not
//! affected.
//!
//! `tc tbf` limits the rate on both ends of a link: upload at the host, download at the bridge. A
//! separate small process removes everything when its stdin ends, so also when the benchmark fails,
//! is interrupted or is killed.

use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::workspace;

/// The name of a host's network interface, inside its namespace.
pub const LINK: &str = "eth0";

/// A shell script that kills the processes in the namespaces, then removes the namespaces. Its
/// arguments are their names.
const CLEANUP_SCRIPT: &str = "trap '' INT TERM HUP; cat >/dev/null; \
    for name; do kill -9 $(ip netns pids $name) 2>/dev/null; ip netns del $name; done";

/// A host on which processes run.
#[derive(Debug, Clone)]
pub struct Host {
    /// The name of the network namespace; none for the machine's own.
    pub namespace: Option<String>,
    /// The IPv4 address.
    pub address: String,
}

impl Host {
    /// Returns this machine, with its loopback address.
    pub fn loopback() -> Self {
        Self {
            namespace: None,
            address: "127.0.0.1".to_owned(),
        }
    }

    /// Returns a command that runs `program` on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                // `ip` replaces itself with the program, so the process id is the program's.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        }
    }
}

/// Hosts on one bridge. A drop removes them, and kills all their processes.
pub struct Network {
    /// The hosts, one for each rate, in the same order.
    pub hosts: Vec<Host>,
    bridge: String,
    cleanup: Child,
}

impl Network {
    /// Creates one host for each of `rates`, at most 253. The rates are in bits per second, for
    /// both directions; none means no limit.
    ///
    /// # Errors
    /// Fails if the user lacks the permission, or if the machine does not support it.
    pub fn new(rates: &[Option<u64>]) -> Result<Self, Failure> {
        let prefix = format!("convite{}", std::process::id());
        let bridge = format!("{prefix}b");
        let hosts: Vec<Host> = (1..=rates.len())
            .map(|number| Host {
                namespace: Some(format!("{prefix}h{number}")),
                address: format!("10.77.0.{number}"),
            })
            .collect();
        let names = hosts.iter().filter_map(|host| host.namespace.as_deref());
        let cleanup = Command::new("sh")
            .args(["-c", CLEANUP_SCRIPT, "sh"])
            .args(names)
            .arg(&bridge)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("sh cannot be started: {error}"))?;
        // From here on, a failure also removes what was created.
        let network = Self {
            hosts,
            bridge: bridge.clone(),
            cleanup,
        };
        ip(&format!("netns add {bridge}"))?;
        ip(&format!("-n {bridge} link add br0 type bridge"))?;
        ip(&format!("-n {bridge} link set br0 up"))?;
        for (number, (host, rate)) in network.hosts.iter().zip(rates).enumerate() {
            attach(&bridge, number, host, *rate)?;
        }
        Ok(network)
    }

    /// Cuts the link of the host `number`, counted from 0.
    ///
    /// # Errors
    /// Fails if `ip` fails.
    pub fn cut(&self, number: usize) -> Result<(), Failure> {
        let (bridge, port) = (&self.bridge, port(number));
        ip(&format!("-n {bridge} link set {port} down"))
    }

    /// Restores the link of the host `number`.
    ///
    /// # Errors
    /// Fails if `ip` fails.
    pub fn join(&self, number: usize) -> Result<(), Failure> {
        let (bridge, port) = (&self.bridge, port(number));
        ip(&format!("-n {bridge} link set {port} up"))
    }

    /// Changes the rate of the link of the host `number`, counted from 0, in bits per second.
    ///
    /// # Errors
    /// Fails if `tc` fails.
    pub fn limit(&self, number: usize, rate: u64) -> Result<(), Failure> {
        match self
            .hosts
            .get(number)
            .and_then(|host| host.namespace.as_ref())
        {
            Some(name) => limit(&self.bridge, number, name, rate),
            None => Ok(()),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.cleanup.stdin.take());
        let _ = self.cleanup.wait();
    }
}

fn attach(bridge: &str, number: usize, host: &Host, rate: Option<u64>) -> Result<(), Failure> {
    let (Some(name), address) = (&host.namespace, &host.address) else {
        return Ok(());
    };
    let port = port(number);
    ip(&format!("netns add {name}"))?;
    ip(&format!(
        "link add {LINK} netns {name} type veth peer name {port} netns {bridge}"
    ))?;
    ip(&format!("-n {bridge} link set {port} master br0 up"))?;
    ip(&format!("-n {name} link set lo up"))?;
    ip(&format!("-n {name} addr add {address}/24 dev {LINK}"))?;
    ip(&format!("-n {name} link set {LINK} up"))?;
    match rate {
        Some(rate) => limit(bridge, number, name, rate),
        None => Ok(()),
    }
}

/// Returns the name of the bridge's end of a link.
fn port(number: usize) -> String {
    format!("port{number}")
}

fn limit(bridge: &str, number: usize, name: &str, rate: u64) -> Result<(), Failure> {
    let port = port(number);
    for (namespace, device) in [(name, LINK), (bridge, port.as_str())] {
        let words = shape(namespace, device, rate);
        workspace::output(Command::new("tc").args(words.split(' ')))?;
    }
    Ok(())
}

/// Returns the arguments of `tc` that limit `device` to `rate` bits per second.
fn shape(namespace: &str, device: &str, rate: u64) -> String {
    format!(
        "-n {namespace} qdisc replace dev {device} root tbf rate {rate}bit burst 64kb latency 50ms"
    )
}

fn ip(words: &str) -> Result<(), Failure> {
    workspace::output(Command::new("ip").args(words.split(' '))).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_namespace_runs_things_here() {
        let here = Host::loopback().command("true");
        assert_eq!(here.get_program(), "true");
        let host = Host {
            namespace: Some("n1".to_owned()),
            address: "10.77.0.1".to_owned(),
        };
        let there = host.command("true");
        assert_eq!(there.get_program(), "ip");
        let words: Vec<_> = there.get_args().collect();
        assert_eq!(words, ["netns", "exec", "n1", "true"]);
    }

    #[test]
    fn a_network_comes_and_goes_where_the_machine_allows_it() {
        // Without permission to create namespaces, the test cannot run.
        let Ok(network) = Network::new(&[None, Some(80_000_000)]) else {
            return;
        };
        let [first, second] = network.hosts.as_slice() else {
            panic!("expected two hosts");
        };
        let shaped = workspace::output(second.command("tc").args(["qdisc", "show"])).unwrap();
        assert!(shaped.contains("80Mbit"), "{shaped}");
        let name = first.namespace.clone().unwrap();
        let list = || workspace::output(Command::new("ip").args(["netns", "list"])).unwrap();
        assert!(list().contains(&name));
        drop(network);
        assert!(!list().contains(&name));
    }
}
