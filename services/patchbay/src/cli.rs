//! Commands and their flags.

use crate::{
    banner, camera, encode, events, file, hash, key,
    keys::{self, KeyFolder},
    net, presets, seal, secrets, status, suite, tls, token, user,
};
use clap::{Parser, Subcommand};
use patchbay_chassis::{
    Mode,
    cli::{self, ConfigArgs, ConfigCommand},
};
use std::{path::PathBuf, process::ExitCode};

/// Folder of data and keys where nothing else is said.
pub(crate) const DATA: &str = "data";

#[derive(Parser)]
#[command(name = "patchbay", version = patchbay_chassis::VERSION, about = "The Patchbay suite in one process")]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs services in one process (default: all of them).
    Run {
        /// `all`, or names with commas between them.
        #[arg(long, default_value = "all")]
        services: String,
    },
    /// Makes tokens.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Manages accounts of a running crypto-service.
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Adds, shows, probes and finds cameras of a running camera-relay.
    Camera {
        #[command(subcommand)]
        command: camera::CameraCommand,
    },
    /// Manages named keys of a running crypto-service.
    Key {
        #[command(subcommand)]
        command: key::KeyCommand,
    },
    /// Opens, closes and changes the seal of a running crypto-service.
    Seal {
        #[command(subcommand)]
        command: seal::SealCommand,
    },
    /// Makes the keys that services need when they run apart, and leaves those that are there.
    InitSecrets {
        /// Folder to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Shows how a running suite is.
    Status(status::StatusArgs),
    /// Shows what has happened in a running suite.
    Events(events::EventsArgs),
    /// Hashes files, as `sha256sum` and its like do.
    Hash(hash::HashArgs),
    /// Encrypts a file of any size by a key of a running crypto-service.
    Encrypt(file::EncryptArgs),
    /// Decrypts what `encrypt` has written, all or a part.
    Decrypt(file::DecryptArgs),
    /// Writes bytes as text.
    Encode(encode::CodeArgs),
    /// Reads bytes from text.
    Decode(encode::CodeArgs),
    /// Looks at TLS of servers, and makes certificates.
    Tls {
        #[command(subcommand)]
        command: tls::TlsCommand,
    },
    /// Small servers for looking at a network.
    Net {
        #[command(subcommand)]
        command: net::NetCommand,
    },
    /// Checks, shows or documents the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Asks the running process whether it is ready; exit code 1 when it is not.
    Health,
    /// Prints the version.
    Version,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Signs a token and prints it alone on the last line.
    Create(token::TokenArgs),
}

/// Reads the command line, does what it says, and tells how it went.
pub fn main() -> ExitCode {
    cli::parse(Cli::try_parse()).map_or_else(
        |code| code,
        |cli| {
            cli::exit(dispatch(cli).map_err(anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace))
        },
    )
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let command = cli.command.unwrap_or_else(|| Command::Run { services: "all".to_owned() });
    match command {
        Command::Run { services } => run(&cli.config, &services),
        Command::Token { command: TokenCommand::Create(args) } => token::create(args),
        Command::User { command } => user::run(command),
        Command::Camera { command } => camera::run(command),
        Command::Key { command } => key::run(command),
        Command::Seal { command } => seal::run(command),
        Command::InitSecrets { out } => secrets::init(&out, &suite()),
        Command::Hash(args) => hash::run(&args),
        Command::Encrypt(args) => file::encrypt(args),
        Command::Decrypt(args) => file::decrypt(args),
        Command::Encode(args) => encode::encode(args),
        Command::Decode(args) => encode::decode(args),
        Command::Tls { command } => tls::run(command),
        Command::Net { command } => net::run(command),
        Command::Status(args) => status::show(&args),
        Command::Events(args) => events::show(&args),
        Command::Config { command } => {
            Ok(cli::config(&suite(), &presets::complete(&suite(), cli.config.options())?, &command)?)
        }
        Command::Health => {
            let options = presets::complete(&suite(), cli.config.options())?;
            Ok(cli::health(&suite().load(&options)?)?)
        }
        Command::Version => Ok(cli::print(&format!("patchbay {}", patchbay_chassis::VERSION))?),
    }
}

fn run(config: &ConfigArgs, services: &str) -> anyhow::Result<()> {
    let mut options = config.options();
    if services != "all" {
        options.services = Some(services.split(',').map(|name| name.trim().to_owned()).collect());
    }
    let suite = suite();
    let settings = suite.load(&presets::complete(&suite, options)?)?;
    let keys = keys::own(&settings)?;
    keys::make_root(&settings)?;
    let is_inviting = settings.mode == Mode::Development || keys.as_ref().is_some_and(KeyFolder::is_new);
    let invitation =
        keys.filter(|_| is_inviting).map(|keys| token::for_operator(keys.signer())).transpose()?;
    let mode = settings.mode;
    Ok(cli::run(settings, |addresses| cli::print(&banner::text(addresses, mode, invitation.as_deref())))?)
}
