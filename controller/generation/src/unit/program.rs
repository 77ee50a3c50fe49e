//! A program as a service runs it: its environment, its secrets, its user, its limits, and its sandbox.

use std::collections::BTreeMap;

use osmoda_schemas::kinds::{Access, Network, Resources, RunAs, SecretSource, Tier};

use super::{
    UnitText,
    text::{literal, quoted},
};

/// Where the egress proxy listens. Programs with `allowedDomains` have no other way out, so that without the proxy they
/// have none.
const EGRESS_PROXY: &str = "http://127.0.0.1:19999";

/// What apps, routines and MCP servers have in common.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// Environment variables.
    pub environment: &'a BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: &'a BTreeMap<String, SecretSource>,
    /// The user to run as.
    pub user: &'a RunAs,
    /// How far it is trusted.
    pub tier: Tier,
    /// What it may reach.
    pub access: &'a Access,
    /// Limits.
    pub resources: &'a Resources,
}

/// Something about a sandbox that a person should know.
pub type SandboxWarning = String;

impl Program<'_> {
    /// Adds the settings to the `[Service]` section that is open.
    pub fn write(&self, unit: &mut UnitText) -> Vec<SandboxWarning> {
        self.write_user(unit);
        self.write_environment(unit);
        for (name, source) in self.secrets {
            let from = source.file.as_deref().or(source.credential.as_deref()).unwrap_or_default();
            unit.set("LoadCredential", format!("{name}:{}", literal(from)));
        }
        self.write_resources(unit);
        if self.tier != Tier::Trusted {
            self.write_sandbox(unit);
        }
        let mut warnings = Vec::new();
        if !self.access.allowed_domains.is_empty() {
            warnings.push(format!(
                "its only way out is the egress proxy at {EGRESS_PROXY}; while none runs there, it reaches nothing"
            ));
        }
        warnings
    }

    /// What of the network it sees.
    fn network(&self) -> Network {
        match (self.tier, self.access.network) {
            (Tier::Trusted, _) => Network::Host,
            (Tier::Untrusted, _) => Network::None,
            (Tier::Approved, network) => network.unwrap_or(Network::Local),
        }
    }

    fn write_user(&self, unit: &mut UnitText) {
        match &self.user.name {
            None => {
                unit.set("DynamicUser", "yes");
            }
            Some(name) => {
                unit.set("User", name);
            }
        }
        if let Some(group) = &self.user.group {
            unit.set("Group", group);
        }
        if !self.user.supplementary_groups.is_empty() {
            unit.set("SupplementaryGroups", self.user.supplementary_groups.join(" "));
        }
    }

    fn write_environment(&self, unit: &mut UnitText) {
        if !self.access.allowed_domains.is_empty() {
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
                unit.set("Environment", quoted(&format!("{name}={EGRESS_PROXY}")));
            }
            for name in ["NO_PROXY", "no_proxy"] {
                unit.set("Environment", quoted(&format!("{name}=127.0.0.1,localhost,::1")));
            }
        }
        for (name, value) in self.environment {
            unit.set("Environment", quoted(&format!("{name}={value}")));
        }
    }

    fn write_resources(&self, unit: &mut UnitText) {
        let resources = self.resources;
        if let Some(memory) = resources.memory {
            // Without this the limit would only move the program's memory to swap.
            unit.set("MemoryMax", memory.bytes().to_string()).set("MemorySwapMax", "0");
        }
        if let Some(cpu) = resources.cpu {
            unit.set("CPUQuota", format!("{}%", cpu.percent()));
        }
        match (resources.tasks, self.tier) {
            (Some(tasks), _) => {
                unit.set("TasksMax", tasks.to_string());
            }
            (None, Tier::Untrusted) => {
                unit.set("TasksMax", "256");
            }
            (None, _) => {}
        }
        if let Some(files) = resources.open_files {
            unit.set("LimitNOFILE", files.to_string());
        }
    }

    /// systemd.exec(5), "Sandboxing"; the same for tier 1 and 2 but for what tier 2 may not reach.
    fn write_sandbox(&self, unit: &mut UnitText) {
        unit.set_all(&[
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "tmpfs"),
            // Up to systemd 252 that alone is writable by everyone, and unlimited.
            ("TemporaryFileSystem", "/home:ro /root:ro /run/user:ro"),
            ("PrivateTmp", "yes"),
            ("ProtectKernelTunables", "yes"),
            ("ProtectKernelModules", "yes"),
            ("ProtectKernelLogs", "yes"),
            ("ProtectControlGroups", "yes"),
            ("ProtectClock", "yes"),
            ("ProtectHostname", "yes"),
            ("ProtectProc", "invisible"),
            ("RestrictNamespaces", "yes"),
            ("RestrictRealtime", "yes"),
            ("RestrictSUIDSGID", "yes"),
            ("LockPersonality", "yes"),
            ("RemoveIPC", "yes"),
            ("KeyringMode", "private"),
            ("UMask", "0077"),
            ("SystemCallArchitectures", "native"),
            ("SystemCallFilter", "@system-service"),
            ("SystemCallErrorNumber", "EPERM"),
        ]);
        let access = self.access;
        let capabilities = access.capabilities.join(" ");
        if capabilities.contains("CAP_SYS") {
            unit.set("SystemCallFilter", "~@mount @module @raw-io @reboot @swap @obsolete");
        } else {
            unit.set("SystemCallFilter", "~@privileged @resources @mount @obsolete");
        }
        unit.set("CapabilityBoundingSet", &capabilities);
        if !capabilities.is_empty() {
            unit.set("AmbientCapabilities", &capabilities);
        }
        if access.devices.is_empty() {
            unit.set("PrivateDevices", "yes");
        } else {
            unit.set("DevicePolicy", "closed");
            for device in &access.devices {
                unit.set("DeviceAllow", format!("{} rw", literal(device)));
            }
        }
        for path in &access.read {
            unit.set("BindReadOnlyPaths", literal(path));
        }
        for path in &access.write {
            unit.set("BindPaths", literal(path));
        }
        // What belongs to osModa and to the machine's owner is nobody else's to look at.
        unit.set("InaccessiblePaths", "-/var/lib/osmoda -/etc/osmoda -/var/lib/private/osmoda");
        match self.network() {
            Network::None => {
                unit.set("PrivateNetwork", "yes").set("IPAddressDeny", "any");
                unit.set("RestrictAddressFamilies", "AF_UNIX");
            }
            Network::Local => {
                unit.set("IPAddressDeny", "any").set("IPAddressAllow", "localhost");
                unit.set("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6");
            }
            Network::Host => {
                unit.set("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK");
            }
        }
        if self.tier == Tier::Untrusted {
            unit.set_all(&[
                ("ProcSubset", "pid"),
                ("PrivateUsers", "yes"),
                ("PrivateIPC", "yes"),
                // Shared memory would be a way to others.
                ("TemporaryFileSystem", "/dev/shm:mode=1777,size=64M"),
                ("InaccessiblePaths", "-/srv -/mnt -/media -/opt -/boot -/run/osmoda -/run/dbus -/run/systemd/private"),
                ("SystemCallFilter", "~@setuid ptrace process_vm_readv process_vm_writev"),
            ]);
        }
    }
}
