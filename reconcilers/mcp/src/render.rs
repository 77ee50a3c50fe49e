//! An `McpServer` as `etc/mcp/servers/<name>.json` and, with `transport: http`, `osmoda-mcp-<name>.service`.

use osmoda_generation::{
    fragment::{Fragment, Gate, Reconciler, RenderError, primary_unit},
    nixos::package_folder,
    unit::{Program, UnitText, command_line, literal},
};
use osmoda_schemas::{
    kinds::{HealthCheck, McpServer, Probe, mcp_server::Transport, probe::TcpProbe},
    nixos::package_attribute,
    object::{Kind, Object, ObjectRef, Spec},
    quantity::Duration,
};

/// Renders MCP servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct McpServers;

impl Reconciler for McpServers {
    fn kind(&self) -> Kind {
        Kind::McpServer
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::McpServer(server) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no McpServer".to_owned() });
        };
        let reference = object.reference();
        // Its program is named in a slice, which is not built with the system.
        if server.transport == Transport::Stdio && server.package.as_deref().and_then(package_attribute).is_some() {
            let reason = "a server over stdio needs the store path of its package".to_owned();
            return Err(RenderError::Field { field: "spec.package".to_owned(), reason });
        }
        let mut fragment = Fragment::default();
        let slice = osmoda_schemas::canonical_json(&serde_json::json!({ "name": reference.name, "spec": server }));
        fragment.etc.insert(format!("mcp/servers/{}.json", reference.name), slice.into_bytes());
        if let (Transport::Http(http), true) = (&server.transport, server.enabled) {
            let probe = Probe::Tcp(TcpProbe { host: "127.0.0.1".to_owned(), port: http.port });
            fragment.gates.push(Gate {
                object: reference.clone(),
                name: "tcp".to_owned(),
                check: check(probe),
                tier: server.tier,
            });
            let unit = primary_unit(&reference).expect("an MCP server has a unit");
            let (text, warnings) = service(&reference, server, http.port)?;
            fragment.units.insert(unit.clone(), text);
            fragment.warnings = warnings;
            fragment.wants.push(("multi-user.target".to_owned(), unit));
        }
        Ok(fragment)
    }
}

fn service(reference: &ObjectRef, server: &McpServer, port: u16) -> Result<(String, Vec<String>), RenderError> {
    let mut unit = UnitText::default();
    let description = server.description.as_deref().unwrap_or(reference.name.as_str());
    unit.section("Unit").set("Description", literal(&format!("MCP server: {description}")));
    unit.set("After", "network.target osmoda-boot.service");
    unit.section("Service").set("Type", "exec");
    let mut command = server.command.clone();
    if let (Some(program), Some(package)) = (command.first_mut(), &server.package)
        && !program.starts_with('/')
    {
        *program = format!("{}/{program}", package_folder(package));
    }
    unit.set("ExecStart", command_line(&command));
    unit.set_all(&[("Restart", "always"), ("RestartSec", "1s"), ("X-StopIfChanged", "false")]);
    let mut environment = server.environment.clone();
    environment.entry("PORT".to_owned()).or_insert_with(|| port.to_string());
    let program = Program {
        environment: &environment,
        secrets: &server.secrets,
        user: &server.user,
        tier: server.tier,
        access: &server.access,
        resources: &server.resources,
    };
    let warnings = program.write(&mut unit);
    Ok((unit.finish()?, warnings))
}

fn check(probe: Probe) -> HealthCheck {
    HealthCheck {
        name: None,
        probe,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 2,
        grace: Duration::from_secs(15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(spec: &str) -> Fragment {
        let object = Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"McpServer","metadata":{{"name":"files"}},"spec":{spec}}}"#
        ))
        .unwrap();
        McpServers.render(&object).unwrap()
    }

    #[test]
    fn a_server_that_speaks_stdio_is_a_slice_and_no_unit() {
        let fragment = fragment(r#"{"command":["/usr/bin/mcp-files"]}"#);
        assert!(fragment.units.is_empty() && fragment.etc.contains_key("mcp/servers/files.json"));
    }

    #[test]
    fn a_server_that_speaks_http_is_a_unit_with_a_gate() {
        let fragment = fragment(r#"{"command":["/usr/bin/mcp-files"],"transport":{"type":"http","port":9000}}"#);
        let text = &fragment.units["osmoda-mcp-files.service"];
        assert!(text.contains("Environment=\"PORT=9000\"") && text.contains("ProtectSystem=strict"), "{text}");
        assert_eq!(fragment.gates.len(), 1);
    }
}
