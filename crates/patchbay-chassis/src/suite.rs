//! The services that a program holds, and where each one's configuration stands.
//!
//! A program of one service has that service's sections at the top of its file. The all-in-one has the shared
//! sections there, and each service's under its name: `[chat-gateway.grpc]`, `PATCHBAY_CHAT_GATEWAY__GRPC__LISTEN`.

use crate::{
    sections::{Grpc, Shared},
    service::{Context, Mode, Running, Service, StartError},
};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_config::{
    ConfigError, Dict, Layer, Loader, Problems, Reference, SectionDocs, ServiceConfig, Shown, Value,
    reference, show, table_of,
};
use std::{collections::BTreeSet, path::PathBuf};

/// A set of services that share one process.
pub struct Suite {
    name: &'static str,
    ops_port: u16,
    layout: Layout,
    services: Vec<Registration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Flat,
    ByService,
}

type Start = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Running, StartError>> + Send>;

/// What is known of a service before its configuration is read.
struct Registration {
    name: &'static str,
    grpc_port: u16,
    calls: &'static [&'static str],
    /// Reads the service's own sections from what stands under a prefix.
    read: fn(&mut Loader, &str, Dict) -> Option<Start>,
    docs: fn() -> SectionDocs,
    defaults: fn() -> Dict,
}

/// What to read a configuration from, beside the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// TOML file.
    pub file: Option<PathBuf>,
    /// Whether `--dev` was given.
    pub mode: Mode,
    /// Services to start; all where it is `None`.
    pub services: Option<Vec<String>>,
    /// Values of the program itself, over the defaults and under the file.
    pub presets: Vec<Layer>,
    /// Values given as flags, over everything.
    pub flags: Layer,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

impl Options {
    /// The process's environment and nothing else.
    pub fn from_environment(mode: Mode) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let flags = Layer::new("command line");
        Self { file: None, mode, services: None, presets: Vec::new(), flags, environment }
    }
}

/// A configuration that is whole and valid.
pub struct Settings {
    /// Name of the program.
    pub name: &'static str,
    /// Whether `--dev` was given.
    pub mode: Mode,
    /// Shared sections.
    pub shared: Shared,
    /// Every value with its source.
    pub shown: Vec<Shown>,
    pub(crate) services: Vec<Prepared>,
}

/// A service that can be started.
pub(crate) struct Prepared {
    pub(crate) name: &'static str,
    pub(crate) grpc: Grpc,
    pub(crate) calls: &'static [&'static str],
    pub(crate) start: Start,
}

impl Suite {
    /// A program of one service, which has its name.
    pub fn single<S: Service>() -> Self {
        let suite = Self { name: S::NAME, ops_port: S::OPS_PORT, layout: Layout::Flat, services: Vec::new() };
        suite.with::<S>()
    }

    /// An empty all-in-one.
    pub fn all_in_one(name: &'static str, ops_port: u16) -> Self {
        Self { name, ops_port, layout: Layout::ByService, services: Vec::new() }
    }

    /// Adds a service; they start in the order they are added.
    #[must_use]
    pub fn with<S: Service>(mut self) -> Self {
        self.services.push(Registration {
            name: S::NAME,
            grpc_port: S::GRPC_PORT,
            calls: S::CALLS,
            read: read_service::<S>,
            docs: SectionDocs::of::<S::Config>,
            defaults: || table_of(&S::Config::default()),
        });
        self
    }

    /// Name of the program.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Names of the services.
    pub fn services(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.services.iter().map(|service| service.name)
    }

    /// Names of the services, and the scopes that each needs when it calls others as itself.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> + '_ {
        self.services.iter().map(|service| (service.name, service.calls))
    }

    /// Reads and checks the configuration of all services, and prepares those that were asked for.
    pub fn load(&self, options: &Options) -> Result<Settings, ConfigError> {
        let mut loader = Loader::new(self.layers(options)?);
        let shared = self.read_shared(&mut loader, options.mode);
        let prepared: Vec<Option<Prepared>> =
            self.services.iter().map(|service| self.prepare(service, &mut loader)).collect();
        loader.leftovers(&self.top_level_keys());
        self.check_selection(&mut loader, options);
        loader.finish()?;
        let is_wanted =
            |name: &str| options.services.as_ref().is_none_or(|names| names.iter().any(|n| n == name));
        let services = prepared.into_iter().flatten().filter(|service| is_wanted(service.name)).collect();
        // Present whenever there was no problem.
        let shared = shared.ok_or_else(|| ConfigError(Vec::new()))?;
        Ok(Settings { name: self.name, mode: options.mode, shared, shown: show(&loader), services })
    }

    /// The reference of each service as a program of its own, for `docs/reference` and `deploy/config`.
    pub fn references(&self) -> Vec<Reference> {
        let shared = SectionDocs::of_value(&Shared::defaults(self.ops_port));
        let references = self.services.iter().map(|service| {
            let grpc = SectionDocs::of_value(&Grpc::on_port(service.grpc_port)).under("grpc");
            reference(service.name, &[(service.docs)(), grpc, shared.clone()])
        });
        references.collect()
    }

    fn layers(&self, options: &Options) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = options.presets.clone();
        if let Some(path) = &options.file {
            layers.push(Layer::file(path)?);
        }
        let names: Vec<&str> = match self.layout {
            Layout::Flat => Vec::new(),
            Layout::ByService => self.services().collect(),
        };
        let bare_keys = self.bare_keys();
        let variables = options.environment.iter();
        layers.extend(variables.filter_map(|(name, text)| Layer::variable(name, text, &names, &bare_keys)));
        layers.push(options.flags.clone());
        Ok(layers)
    }

    /// Keys of a single service that are no tables: only these may be set by a variable without `__`.
    fn bare_keys(&self) -> Vec<String> {
        if self.layout == Layout::ByService {
            return Vec::new();
        }
        let own = self.services.iter().flat_map(|service| (service.defaults)());
        own.filter(|(_, value)| !matches!(value, Value::Dict(..))).map(|(key, _)| key).collect()
    }

    fn top_level_keys(&self) -> Vec<String> {
        let own: BTreeSet<String> = match self.layout {
            Layout::Flat => {
                self.services.iter().flat_map(|service| (service.defaults)().into_keys()).collect()
            }
            Layout::ByService => self.services().map(str::to_owned).collect(),
        };
        let grpc = (self.layout == Layout::Flat).then(|| "grpc".to_owned());
        own.into_iter().chain(grpc).chain(Shared::KEYS.map(str::to_owned)).collect()
    }

    fn read_shared(&self, loader: &mut Loader, mode: Mode) -> Option<Shared> {
        let given = loader.take(|key| Shared::KEYS.contains(&key));
        let shared = loader.section("", &Shared::defaults(self.ops_port), given)?;
        let mut problems = Problems::default();
        shared.validate(&mut problems);
        if mode == Mode::Production && shared.auth.jwks_file.is_none() {
            problems.add("auth.jwks_file", "must be set, or nobody's token can be verified (or use --dev)");
        }
        loader.validated("", &problems);
        Some(shared)
    }

    fn prepare(&self, service: &Registration, loader: &mut Loader) -> Option<Prepared> {
        let (prefix, mut given) = match self.layout {
            Layout::Flat => {
                let own = (service.defaults)();
                (String::new(), loader.take(|key| key == "grpc" || own.contains_key(key)))
            }
            Layout::ByService => (format!("{}.", service.name), loader.take_table(service.name)),
        };
        let grpc_given = given.remove_entry("grpc").into_iter().collect();
        let grpc =
            loader.section(&prefix, &GrpcSection { grpc: Grpc::on_port(service.grpc_port) }, grpc_given);
        let start = (service.read)(loader, &prefix, given);
        Some(Prepared { name: service.name, grpc: grpc?.grpc, calls: service.calls, start: start? })
    }

    fn check_selection(&self, loader: &mut Loader, options: &Options) {
        for wanted in options.services.iter().flatten() {
            if !self.services().any(|name| name == wanted) {
                let names: Vec<&str> = self.services().collect();
                loader.flag_problem("--services", format!("`{wanted}` is not one of: {}", names.join(", ")));
            }
        }
    }
}

/// `grpc` as it stands among a service's sections, so that problems name its keys in full.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GrpcSection {
    grpc: Grpc,
}

fn read_service<S: Service>(loader: &mut Loader, prefix: &str, given: Dict) -> Option<Start> {
    let config: S::Config = loader.section(prefix, &S::Config::default(), given)?;
    let mut problems = Problems::default();
    config.validate(&mut problems);
    loader.validated(prefix, &problems);
    Some(Box::new(move |context| S::start(config, context).boxed()))
}
