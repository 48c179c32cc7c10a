//! What both protocols do with WebSocket frames.

use super::{Connection, handle::Stage, task::Flow};
use crate::gateway::Gateway;
use patchbay_websocket::{CloseCode, Decoder, Event, encode};
use std::sync::Arc;

/// Decodes input, answers control frames, and hands every text on while the connection is not ending.
pub(super) fn drive(
    gateway: &Gateway,
    connection: &Arc<Connection>,
    decoder: &mut Decoder,
    bytes: &mut [u8],
    mut on_text: impl FnMut(&str),
) -> Flow {
    let mut input = bytes;
    loop {
        match decoder.decode(&mut input) {
            Ok(None) => return Flow::Open,
            Ok(Some(Event::Text(_) | Event::Binary(_))) if connection.stage() == Stage::Ending => {}
            Ok(Some(Event::Text(text))) => on_text(text),
            Ok(Some(Event::Binary(_))) => {
                connection.ending(gateway.seconds());
                connection.outbound.close_with(CloseCode::UNSUPPORTED_DATA, "text frames only");
            }
            Ok(Some(Event::Ping(payload))) => {
                connection.outbound.send(&encode::pong_frame(payload));
            }
            Ok(Some(Event::Pong(_))) => {}
            Ok(Some(Event::Close { code, .. })) => {
                connection.ending(gateway.seconds());
                connection.outbound.close_back(code);
                return Flow::End;
            }
            Err(error) => {
                connection.ending(gateway.seconds());
                connection.outbound.close_with(error.close_code(), &error.to_string());
                return Flow::End;
            }
        }
    }
}
