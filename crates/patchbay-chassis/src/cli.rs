//! The command line that every binary has: `run` (default), `config`, `health`, `version`.

use crate::{
    config::{ConfigError, Layer},
    error::chain,
    listen::reachable,
    process::{Address, Process, RunError},
    service::{Mode, Service},
    suite::{Options, Settings, Suite},
    telemetry::{Telemetry, TelemetryError},
};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::{
    error::Error,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// `EX_USAGE`: the configuration or the command line is wrong, so that starting again will not help.
pub const EXIT_USAGE: u8 = 64;

/// Time for `health` to connect, and again to be answered.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Flags that decide the configuration.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "PATCHBAY_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// For development: keys are made up, guests may enter.
    #[arg(long, global = true)]
    pub dev: bool,
    /// Log filter, such as `debug` or `info,chat_gateway=debug`.
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,
}

impl ConfigArgs {
    /// What to load a configuration from.
    pub fn options(&self) -> Options {
        let mode = if self.dev { Mode::Development } else { Mode::Production };
        let mut options = Options::from_environment(mode);
        options.file.clone_from(&self.config);
        if let Some(filter) = &self.log {
            options.flags = Layer::new("flag --log").set("log.level", filter.as_str());
        }
        options
    }
}

/// What `config` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Checks the configuration; exit code 64 when it has a problem.
    Check,
    /// Shows every value with its source.
    Show,
    /// Prints the JSON Schema of each service.
    Schema,
    /// Prints the reference, or writes `docs/reference/config` and `deploy/config` under a folder.
    Docs {
        /// Folder to write under.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service (default).
    Run,
    /// Checks, shows or documents the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Asks a running service whether it is ready; exit code 1 when it is not.
    Health,
    /// Prints the version.
    Version,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process ended by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no log.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A file, or the terminal, cannot be written.
    #[error("could not write {what}")]
    Write {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime cannot be started.
    #[error("could not start the runtime")]
    Runtime(#[source] io::Error),
    /// The running process is not ready, or does not answer.
    #[error("{0}")]
    Unhealthy(String),
}

/// The `main` of a service's binary.
pub fn main<S: Service>() -> ExitCode {
    let suite = Suite::single::<S>();
    let matches = Cli::command().name(S::NAME).version(crate::VERSION).try_get_matches();
    let cli = parse(matches.and_then(|matches| Cli::from_arg_matches(&matches)));
    cli.map_or_else(|code| code, |cli| exit(dispatch(&suite, cli).map_err(Into::into)))
}

/// Lets clap say what is wrong with a command line, and gives the exit code: 64, or 0 where help was asked for.
pub fn parse<T>(parsed: Result<T, clap::Error>) -> Result<T, ExitCode> {
    parsed.map_err(|error| {
        // Where the terminal is closed there is nobody left to tell.
        drop(error.print());
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    })
}

fn dispatch(suite: &Suite, cli: Cli) -> Result<(), CommandError> {
    let options = cli.config.options();
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run(suite.load(&options)?, |_| Ok(())),
        Command::Config { command } => config(suite, &options, &command),
        Command::Health => health(&suite.load(&options)?),
        Command::Version => print(&format!("{} {}", suite.name(), crate::VERSION)),
    }
}

/// Tells a failure on standard error, without a backtrace, and turns it into an exit code: 64 for a wrong
/// configuration, 1 for the rest.
pub fn exit(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let is_usage = matches!(error.downcast_ref(), Some(CommandError::Config(_))) || error.is::<ConfigError>();
    // Where standard error is closed there is nobody left to tell.
    drop(writeln!(io::stderr(), "error: {}", chain(&*error)));
    if is_usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
}

/// Runs a process until it is told to stop; `started` is called once everything listens.
pub fn run(
    settings: Settings,
    started: impl FnOnce(&[Address]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    // Fails only when a provider was installed before, which is then the one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let ended = runtime.block_on(async {
        let telemetry = Telemetry::install(settings.name, &settings.shared)?;
        let process = Process::start_with(settings, telemetry.control.clone()).await;
        let ended = match process {
            Ok(process) => match started(process.addresses()) {
                Ok(()) => process.run().await.map_err(CommandError::from),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        };
        telemetry.flush();
        ended
    });
    // Blocking work that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Does what `config` was asked to.
pub fn config(suite: &Suite, options: &Options, command: &ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Check => {
            suite.load(options)?;
            print("the configuration is valid")
        }
        ConfigCommand::Show => {
            let lines: Vec<String> = suite.load(options)?.shown.iter().map(ToString::to_string).collect();
            print(&lines.join("\n"))
        }
        ConfigCommand::Schema => {
            let schemas: Vec<String> =
                suite.references().iter().map(|each| format!("{:#}", each.schema)).collect();
            print(&schemas.join("\n"))
        }
        ConfigCommand::Docs { out: None } => {
            let pages: Vec<String> = suite.references().into_iter().map(|each| each.markdown).collect();
            print(&pages.join("\n"))
        }
        ConfigCommand::Docs { out: Some(folder) } => write_docs(suite, folder),
    }
}

fn write_docs(suite: &Suite, folder: &Path) -> Result<(), CommandError> {
    for reference in suite.references() {
        for (path, text) in reference.files() {
            write_file(&folder.join(path), &text)?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), CommandError> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = made.and_then(|()| std::fs::write(path, text));
    written.map_err(|source| CommandError::Write { what: path.display().to_string(), source })
}

/// Asks the port for operators whether the process is ready; for health checks of containers.
pub fn health(settings: &Settings) -> Result<(), CommandError> {
    let url = format!("http://{}", reachable(settings.shared.ops.listen));
    match http_get(&url, "/readyz") {
        Ok((200, body)) => print(&body),
        Ok((_, body)) => Err(CommandError::Unhealthy(format!("not ready: {body}"))),
        Err(error) => Err(CommandError::Unhealthy(format!("no answer from {url}: {error}"))),
    }
}

/// One plain HTTP request to the port for operators: status and body. `health` runs every few seconds in every
/// container, so it starts no runtime.
pub fn http_get(url: &str, path: &str) -> io::Result<(u16, String)> {
    let odd = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let host =
        url.strip_prefix("http://").ok_or_else(|| odd("not an http:// address"))?.trim_end_matches('/');
    let address = host.to_socket_addrs()?.next().ok_or_else(|| odd("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    stream.set_write_timeout(Some(HEALTH_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| odd("not an HTTP answer"))?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| odd("not an HTTP answer"))?, body.to_owned()))
}

/// Prints a line to standard output.
pub fn print(text: &str) -> Result<(), CommandError> {
    let written = match writeln!(io::stdout(), "{text}") {
        // `config show | head`: the reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    };
    written.map_err(|source| CommandError::Write { what: "to standard output".to_owned(), source })
}
