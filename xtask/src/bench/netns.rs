//! Hosts with links of a given rate, on one machine: each a network namespace with one veth to a
//! bridge, which lies in a namespace too, so that nothing of it touches the machine's own network.
//!
//! Rates are those of `tc tbf` on both ends of a link: up at the host, down at the bridge. All of it
//! is taken down by a small process of its own, which waits for the end of its input: so also when
//! the benchmark fails, is interrupted or is killed.

use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::workspace;

/// The name of a host's link, inside its namespace.
pub const LINK: &str = "eth0";

/// Ends what runs in the namespaces, then removes them; its arguments are their names.
const TAKE_DOWN: &str = "trap '' INT TERM HUP; cat >/dev/null; \
    for name; do kill -9 $(ip netns pids $name) 2>/dev/null; ip netns del $name; done";

/// Where a process runs.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its network namespace; none for the machine's own.
    pub namespace: Option<String>,
    /// Its IPv4 address.
    pub address: String,
}

impl Host {
    /// This machine, reached by itself.
    pub fn loopback() -> Self {
        Self {
            namespace: None,
            address: "127.0.0.1".to_owned(),
        }
    }

    /// A command that runs `program` on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                // It replaces itself by the program, so the process id is the program's.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        }
    }
}

/// Hosts on one bridge. They go when it is dropped, with all that runs on them.
pub struct Network {
    /// One for each rate, in their order.
    pub hosts: Vec<Host>,
    keeper: Child,
}

impl Network {
    /// Makes one host for each of `rates`, in bits per second, the same up and down; none is
    /// without limit. At most 253 of them.
    ///
    /// # Errors
    /// If the user may not, or the machine cannot.
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
        let keeper = Command::new("sh")
            .args(["-c", TAKE_DOWN, "sh"])
            .args(names)
            .arg(&bridge)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("no shell: {error}"))?;
        // From here on, whatever fails, what was made is taken down.
        let network = Self { hosts, keeper };
        ip(&format!("netns add {bridge}"))?;
        ip(&format!("-n {bridge} link add br0 type bridge"))?;
        ip(&format!("-n {bridge} link set br0 up"))?;
        for (number, (host, rate)) in network.hosts.iter().zip(rates).enumerate() {
            attach(&bridge, number, host, *rate)?;
        }
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn attach(bridge: &str, number: usize, host: &Host, rate: Option<u64>) -> Result<(), Failure> {
    let (Some(name), address) = (&host.namespace, &host.address) else {
        return Ok(());
    };
    let port = format!("port{number}");
    ip(&format!("netns add {name}"))?;
    ip(&format!(
        "link add {LINK} netns {name} type veth peer name {port} netns {bridge}"
    ))?;
    ip(&format!("-n {bridge} link set {port} master br0 up"))?;
    ip(&format!("-n {name} link set lo up"))?;
    ip(&format!("-n {name} addr add {address}/24 dev {LINK}"))?;
    ip(&format!("-n {name} link set {LINK} up"))?;
    if let Some(rate) = rate {
        for (namespace, device) in [(name.as_str(), LINK), (bridge, port.as_str())] {
            let words = shape(namespace, device, rate);
            workspace::output(Command::new("tc").args(words.split(' ')))?;
        }
    }
    Ok(())
}

/// The words after `tc` that let `device` send `rate` bits per second.
fn shape(namespace: &str, device: &str, rate: u64) -> String {
    format!("-n {namespace} qdisc add dev {device} root tbf rate {rate}bit burst 64kb latency 50ms")
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
        // Without the right to make namespaces the benchmark takes the loopback; so may the test.
        let Ok(network) = Network::new(&[None, Some(80_000_000)]) else {
            return;
        };
        let [first, second] = network.hosts.as_slice() else {
            panic!("two hosts were asked for");
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
