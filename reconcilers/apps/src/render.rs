//! An `App` as units: `osmoda-app-<name>.service`.

use osmoda_generation::{
    fragment::{Fragment, Gate, Reconciler, RenderError, primary_unit},
    nixos::package_folder,
    store_path::StoreObject,
    tree::{Entry, Tree},
    unit::{Program, UnitText, command_line, literal},
};
use osmoda_schemas::{
    kinds::{
        App, HealthCheck, Probe, Tier,
        app::{FileContent, RestartPolicy, Startup, Update},
        probe::UnitProbe,
    },
    nixos::package_attribute,
    object::{Kind, Object, ObjectRef, Spec},
    quantity::Duration,
};

/// Renders apps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apps;

impl Reconciler for Apps {
    fn kind(&self) -> Kind {
        Kind::App
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::App(app) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no App".to_owned() });
        };
        if !app.enabled {
            return Ok(Fragment::default());
        }
        render(&object.reference(), app)
    }
}

fn render(reference: &ObjectRef, app: &App) -> Result<Fragment, RenderError> {
    let mut fragment = Fragment { probation: app.probation.ttl, ..Fragment::default() };
    let unit_name = primary_unit(reference).expect("an app has a unit");
    let names = Names::new(reference, app, &mut fragment)?;
    let mut unit = UnitText::default();
    unit.section("Unit");
    unit.set("Description", literal(app.description.as_deref().unwrap_or(reference.name.as_str())));
    order(&mut unit, app);
    unit.set("StartLimitIntervalSec", seconds(app.restart.window));
    unit.set("StartLimitBurst", app.restart.limit.to_string());
    if let Some(trigger) = &names.reload_trigger {
        unit.set("X-Reload-Triggers", trigger);
    }
    unit.section("Service");
    startup(&mut unit, app);
    let mut command = names.fill_all(&app.command);
    if let (Some(program), Some(package)) = (command.first_mut(), &app.package)
        && !program.starts_with('/')
    {
        *program = format!("{}/{program}", package_folder(package));
    }
    unit.set("ExecStart", command_line(&command));
    if !app.reload.is_empty() {
        unit.set("ExecReload", command_line(&names.fill_all(&app.reload)));
    }
    unit.set("SyslogIdentifier", reference.name.as_str());
    directories(&mut unit, reference, app, &names);
    stop_and_restart(&mut unit, app);
    let environment = app.environment.iter().map(|(name, value)| (name.clone(), names.fill(value))).collect();
    let program = Program {
        environment: &environment,
        secrets: &app.secrets,
        user: &app.user,
        tier: app.tier,
        access: &app.access,
        resources: &app.resources,
    };
    fragment.warnings = program.write(&mut unit);
    fragment.units.insert(unit_name.clone(), unit.finish()?);
    fragment.wants.push(("multi-user.target".to_owned(), unit_name.clone()));
    fragment.gates = gates(reference, app, &unit_name);
    Ok(fragment)
}

/// What placeholders stand for.
struct Names<'a> {
    app: &'a App,
    files: Option<String>,
    state: String,
    runtime: String,
    /// Changes when files do, for a program that reads them anew.
    reload_trigger: Option<String>,
}

impl<'a> Names<'a> {
    fn new(reference: &ObjectRef, app: &'a App, fragment: &mut Fragment) -> Result<Self, RenderError> {
        let name = &reference.name;
        let mut names = Self {
            app,
            files: None,
            state: format!("/var/lib/osmoda-app-{name}"),
            runtime: format!("/run/osmoda-app-{name}"),
            reload_trigger: None,
        };
        if app.files.is_empty() {
            return Ok(names);
        }
        let names_package = |file: &FileContent| file.content.contains("${package}");
        if app.package.as_deref().and_then(package_attribute).is_some() && app.files.values().any(names_package) {
            let reason = "files can name the folder of a package only when that is a store path".to_owned();
            return Err(RenderError::Field { field: "spec.files".to_owned(), reason });
        }
        // The store path of the files depends on their content, which may not name itself.
        let mut tree = Tree::new();
        for (path, file) in &app.files {
            let contents = names.fill(&file.content).into_bytes();
            tree.insert(path.clone(), Entry::File { contents, executable: file.executable })?;
        }
        let files = StoreObject::new(&format!("osmoda-app-{name}-files"), &tree);
        let path = files.path().to_string();
        fragment.store_objects.push(files);
        if app.update == Update::Reload {
            // A program that is not restarted has to find its new files where the old ones were.
            let link = format!("files/{name}");
            names.files = Some(format!("/run/osmoda/generation/{link}"));
            names.reload_trigger = Some(path.clone());
            fragment.links.insert(link, path);
        } else {
            names.files = Some(path);
        }
        Ok(names)
    }

    fn fill_all(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.fill(word)).collect()
    }

    /// Fills in what is known; any other `$` is the program's own business.
    fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            // No name is longer: a text of nothing but openings is read once, not once for each.
            let end = after.bytes().take(80).position(|b| b == b'}');
            let known = end.and_then(|end| Some((self.value(after.get(..end)?)?, &after[end + 1..])));
            rest = match known {
                Some((value, tail)) => {
                    out.push_str(&value);
                    tail
                }
                None => {
                    out.push_str("${");
                    after
                }
            };
        }
        out + rest
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "files" => self.files.clone(),
            "state" => self.app.state_directory.then(|| self.state.clone()),
            "runtime" => Some(self.runtime.clone()),
            "package" => self.app.package.as_deref().map(package_folder),
            port => Some(self.app.ports.get(port.strip_prefix("port.")?)?.port.to_string()),
        }
    }
}

fn order(unit: &mut UnitText, app: &App) {
    unit.set("After", "network.target osmoda-boot.service");
    for (list, required) in [(&app.after, false), (&app.requires, true)] {
        for other in list.iter().filter_map(primary_unit) {
            unit.set("After", &other);
            if required {
                unit.set("Requires", &other);
            }
        }
    }
}

fn startup(unit: &mut UnitText, app: &App) {
    let kind = match app.startup {
        Startup::Exec => "exec",
        Startup::Notify => "notify",
        Startup::Forking => "forking",
        Startup::Oneshot => "oneshot",
    };
    unit.set("Type", kind);
    if app.startup == Startup::Notify {
        unit.set("NotifyAccess", "all");
    }
    if app.startup == Startup::Oneshot {
        unit.set("RemainAfterExit", "yes");
    }
    match app.update {
        Update::StopStart => {}
        Update::Restart => {
            unit.set("X-StopIfChanged", "false");
        }
        Update::Reload => {
            unit.set("X-StopIfChanged", "false");
        }
        Update::Never => {
            unit.set("X-RestartIfChanged", "false");
        }
    }
}

fn directories(unit: &mut UnitText, reference: &ObjectRef, app: &App, names: &Names<'_>) {
    let own = format!("osmoda-app-{}", reference.name);
    unit.set("RuntimeDirectory", &own).set("RuntimeDirectoryMode", "0750");
    if app.state_directory {
        unit.set("StateDirectory", &own).set("StateDirectoryMode", "0700");
    }
    let default = match (app.state_directory, app.tier) {
        (true, _) => &names.state,
        (false, Tier::Untrusted) => &names.runtime,
        (false, _) => "/",
    };
    let folder = app.working_directory.as_deref().map_or_else(|| default.to_owned(), |folder| names.fill(folder));
    unit.set("WorkingDirectory", literal(&folder));
}

fn stop_and_restart(unit: &mut UnitText, app: &App) {
    let policy = match (app.restart.policy, app.startup) {
        (RestartPolicy::Always, _) => "always",
        (RestartPolicy::OnFailure, _) => "on-failure",
        (RestartPolicy::Never, _) => "no",
    };
    unit.set("Restart", policy).set("RestartSec", seconds(app.restart.delay));
    unit.set("KillSignal", &app.stop.signal).set("TimeoutStopSec", seconds(app.stop.timeout));
}

/// Checks with everything filled in; an app without any has to be active.
fn gates(reference: &ObjectRef, app: &App, unit: &str) -> Vec<Gate> {
    let own = |check: &HealthCheck| {
        let mut check = check.clone();
        match &mut check.probe {
            Probe::Unit(probe) => probe.unit = Some(probe.unit.take().unwrap_or_else(|| unit.to_owned())),
            Probe::Command(probe) if probe.user.is_none() && app.tier != Tier::Trusted => {
                probe.user = Some("nobody".to_owned());
            }
            _ => {}
        }
        let kind = match check.probe {
            Probe::Unit(_) => "unit",
            Probe::Tcp(_) => "tcp",
            Probe::Http(_) => "http",
            Probe::Command(_) => "command",
        };
        Gate {
            object: reference.clone(),
            name: check.name.clone().unwrap_or_else(|| kind.to_owned()),
            check,
            tier: app.tier,
        }
    };
    let default = HealthCheck {
        name: None,
        probe: Probe::Unit(UnitProbe::default()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 1,
        grace: Duration::from_secs(10),
    };
    if app.health.is_empty() { vec![own(&default)] } else { app.health.iter().map(own).collect() }
}

fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(spec: &str) -> Fragment {
        let object = Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"App","metadata":{{"name":"web"}},"spec":{spec}}}"#
        ))
        .unwrap();
        Apps.render(&object).unwrap()
    }

    fn unit(spec: &str) -> String {
        fragment(spec).units.remove("osmoda-app-web.service").unwrap()
    }

    #[test]
    fn an_app_of_tier_1_is_sandboxed() {
        insta::assert_snapshot!(unit(
            r#"{"command":["/usr/bin/python3","-m","http.server","${port.http}"],"ports":{"http":{"port":8080}},
                "environment":{"A":"1 $x %h"},"resources":{"memory":"64Mi","cpu":"0.5"},"stateDirectory":true}"#
        ));
    }

    #[test]
    fn an_app_of_tier_2_has_no_network() {
        let text = unit(r#"{"command":["/bin/sleep","9"],"tier":2}"#);
        for line in ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "ProcSubset=pid", "TasksMax=256"] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn an_app_of_tier_0_is_not_sandboxed() {
        let text = unit(r#"{"command":["/bin/sleep","9"],"tier":0,"user":{"name":"root"}}"#);
        assert!(!text.contains("ProtectSystem") && text.contains("User=root"), "{text}");
    }

    #[test]
    fn placeholders_are_filled_and_any_other_dollar_stays() {
        let text =
            unit(r#"{"command":["/bin/sh","-c","echo ${HOME} $1 ${runtime} ${files}"],"files":{"a":{"content":"x"}}}"#);
        let line = text.lines().find(|l| l.starts_with("ExecStart=")).unwrap();
        let expected = r#"ExecStart=:/bin/sh -c "echo ${HOME} $1 /run/osmoda-app-web /nix/store/"#;
        assert!(line.starts_with(expected), "{line}");
    }

    #[test]
    fn a_changed_file_restarts_or_reloads() {
        use osmoda_systemd::{Comparison, UnitFile, compare};
        let with = |update: &str, content: &str| {
            UnitFile::parse(&unit(&format!(
                r#"{{"command":["/bin/cat","${{files}}/a"],"files":{{"a":{{"content":"{content}"}}}},
                     "update":"{update}","reload":["/bin/kill","-HUP","$MAINPID"]}}"#
            )))
        };
        let compared = |update| compare(&with(update, "1"), &with(update, "2"));
        assert!(matches!(compared("restart"), Comparison::Restart(_)));
        assert_eq!(compared("reload"), Comparison::Reload(vec!["Unit.X-Reload-Triggers".to_owned()]));
    }

    #[test]
    fn a_disabled_app_is_nothing() {
        assert_eq!(fragment(r#"{"command":["/bin/true"],"enabled":false}"#), Fragment::default());
    }
}
