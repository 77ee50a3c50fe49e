//! Who listens on which port: `/proc/net/{tcp,tcp6,udp,udp6}` joined with the sockets that processes hold (proc(5)).

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// A listening socket and the process that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The local address.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// The process, if it could be found (another namespace's cannot).
    pub process: Option<Process>,
}

/// A process, as far as a listener needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command name (`comm`).
    pub name: String,
    /// The systemd unit it belongs to, from its control group.
    pub unit: Option<String>,
}

/// Everything that listens on this machine.
#[must_use]
pub fn listeners(proc_folder: &Path) -> Vec<Listener> {
    let mut sockets = BTreeMap::new();
    for (file, protocol, listen_state) in
        [("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07")]
    {
        let table = fs::read_to_string(proc_folder.join("net").join(file)).unwrap_or_default();
        for (inode, address, port) in table.lines().skip(1).filter_map(|line| parse_line(line, listen_state)) {
            sockets.insert(inode, (protocol, address, port));
        }
    }
    let holders = holders(proc_folder, &sockets);
    let mut found: Vec<Listener> = sockets
        .into_iter()
        .map(|(inode, (protocol, address, port))| Listener {
            protocol,
            address,
            port,
            process: holders.get(&inode).cloned(),
        })
        .collect();
    found.sort_by_key(|l| (l.port, l.protocol, l.address));
    found.dedup();
    found
}

/// Inode, address and port of a line whose state is `state`.
fn parse_line(line: &str, state: &str) -> Option<(u64, IpAddr, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != state {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    Some((inode, parse_address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel prints addresses as 32-bit words in the byte order of the machine.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

fn holders<T>(proc_folder: &Path, sockets: &BTreeMap<u64, T>) -> HashMap<u64, Process> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(proc_folder).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        for descriptor in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| sockets.contains_key(inode)) {
                found.entry(inode).or_insert_with(|| process(&entry.path(), pid));
            }
        }
    }
    found
}

fn process(folder: &Path, pid: i32) -> Process {
    let name = fs::read_to_string(folder.join("comm")).unwrap_or_default().trim_end().to_owned();
    let cgroup = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
    Process { pid, name, unit: unit_of_cgroup(&cgroup) }
}

/// The innermost unit that a control group path names. With both versions of control groups, one of the two paths may
/// name none.
fn unit_of_cgroup(cgroup: &str) -> Option<String> {
    let paths = cgroup.lines().filter_map(|line| {
        line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    });
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    paths.filter_map(|path| path.rsplit('/').find(is_unit)).next().map(str::to_owned)
}

/// The kind of service that a process of that name is, for the ones that are common on servers.
#[must_use]
pub fn known_service(process_name: &str) -> Option<&'static str> {
    const KNOWN: &[(&str, &str)] = &[
        ("nginx", "nginx"),
        ("apache2", "apache"),
        ("httpd", "apache"),
        ("caddy", "caddy"),
        ("haproxy", "haproxy"),
        ("postgres", "postgres"),
        ("mysqld", "mysql"),
        ("mariadbd", "mariadb"),
        ("mongod", "mongodb"),
        ("redis-server", "redis"),
        ("valkey-server", "valkey"),
        ("memcached", "memcached"),
        ("node", "node"),
        ("python", "python"),
        ("java", "java"),
        ("docker-proxy", "docker"),
        ("dockerd", "docker"),
        ("sshd", "ssh"),
        ("systemd-resolve", "dns"),
        ("dnsmasq", "dns"),
        ("named", "dns"),
        ("chronyd", "ntp"),
        ("osmoda", "osmoda"),
        ("agentd", "osmoda"),
    ];
    KNOWN.iter().find(|(prefix, _)| process_name.starts_with(prefix)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_socket_of_this_process_is_found_with_its_owner() {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listeners(Path::new("/proc"));
        let mine = found.iter().find(|l| l.port == port && l.protocol == "tcp").expect("our socket is listed");
        assert_eq!(mine.address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(mine.process.as_ref().unwrap().pid, i32::try_from(std::process::id()).unwrap());
    }

    #[test]
    fn units_are_read_from_control_groups_of_both_versions() {
        for (cgroup, unit) in [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("12:cpu:/x\n1:name=systemd:/system.slice/ssh.service/inner\n", Some("ssh.service")),
            ("9:name=systemd:/\n8:pids:/\n0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("0::/user.slice/user-0.slice/session-1.scope\n", Some("session-1.scope")),
            ("0::/\n", None),
        ] {
            assert_eq!(unit_of_cgroup(cgroup).as_deref(), unit);
        }
    }
}
