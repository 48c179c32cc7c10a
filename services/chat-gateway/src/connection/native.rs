//! The native protocol's side of a connection: frames to commands, and what bad ones cost.

use super::{Connection, frames, handle::Stage, hello::OriginTrust, session::Session, task::Flow};
use crate::{
    gateway::Gateway,
    protocol::{
        close::Close,
        command::{self, Line},
        error::CommandError,
        reply,
    },
};
use patchbay_websocket::{Decoder, encode};
use std::sync::Arc;

/// A connection to `/ws`.
pub(super) struct Native {
    decoder: Decoder,
    origin: OriginTrust,
    errors: u32,
}

impl Native {
    pub(super) fn new(gateway: &Gateway, origin: OriginTrust) -> Self {
        let max_message = u32::try_from(gateway.config.limits.frame.0).unwrap_or(u32::MAX);
        Self { decoder: Decoder::new(max_message), origin, errors: 0 }
    }

    pub(super) fn input(
        &mut self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        bytes: &mut [u8],
    ) -> Flow {
        let Self { decoder, origin, errors } = self;
        let session = Session { gateway, connection, origin: *origin };
        frames::drive(gateway, connection, decoder, bytes, |text| {
            for line in text.split('\n').filter(|line| !line.trim().is_empty()) {
                on_line(session, line, errors);
            }
        })
    }
}

fn on_line(session: Session<'_>, line: &str, errors: &mut u32) {
    if session.connection.stage() == Stage::Ending {
        return;
    }
    let (id, error) = match command::parse(line, session.gateway.config.limits.json_depth) {
        Ok(Line::Pong) => return,
        Ok(Line::Command(command)) => match (command.id, session.run(command)) {
            (_, Ok(())) => {
                *errors = 0;
                return;
            }
            (id, Err(error)) => (id, error),
        },
        // Whoever begins with something else than a command does not speak this protocol.
        Err(bad) if session.connection.person().is_none() => {
            (Some(bad.id), bad.error.closing(Close::BadRequest))
        }
        Err(bad) => (Some(bad.id), bad.error),
    };
    *errors += 1;
    if let Some(id) = id {
        tell(session, id, &error);
    }
    if let Some(close) = error.close {
        session.connection.end(close, session.gateway.seconds());
    }
    if *errors >= session.gateway.config.limits.errors {
        session.connection.end(Close::TooManyErrors, session.gateway.seconds());
    }
}

fn tell(session: Session<'_>, id: u64, error: &CommandError) {
    session.gateway.metrics.errors.inc();
    session.connection.outbound.send(&encode::text_frame(&reply::error(id, error)));
}
