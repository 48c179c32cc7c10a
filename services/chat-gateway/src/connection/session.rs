//! Who a native client is: `connect` and `refresh`, and what must hold before any other verb.

use super::{
    Connection,
    handle::{InFlight, Person, Stage},
    hello::OriginTrust,
};
use crate::{
    gateway::Gateway,
    guests::Guests,
    protocol::{
        classic::DEFAULT_AVATAR,
        close::Close,
        command::{Command, Connect, Refresh, Verb},
        error::{CommandError, ErrorCode},
        ids::RoomId,
        publication::Profile,
        reply::{self, Connected, LimitsShown, Unsubscribed},
    },
    revocation::is_revoked,
    room::Command as RoomCommand,
};
use patchbay_auth::{Identity, IdentityKind, TokenError};
use patchbay_chassis::Span;
use patchbay_websocket::encode;
use serde::Serialize;
use std::sync::Arc;

/// What this server can do beyond the first version of the protocol; a client asks here before it uses something new.
const CAPABILITIES: &[&str] = &["recover", "edit", "react", "receipts", "typing", "presence"];

/// Result of `refresh`.
#[derive(Serialize)]
struct Refreshed {
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

/// A native connection during one command.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) origin: OriginTrust,
}

impl Session<'_> {
    /// Runs a command; an error is told to the client by the caller.
    pub(super) fn run(self, command: Command<'_>) -> Result<(), CommandError> {
        let rate = self.gateway.config.rates.connection;
        let now = self.gateway.micros();
        self.connection.with_rate(|bucket| bucket.take(rate, now)).map_err(CommandError::too_many)?;
        let Command { id, verb } = command;
        let Some(person) = self.connection.person() else {
            if let Verb::Connect(connect) = verb {
                return self.connect(id.unwrap_or(0), &connect);
            }
            let error = CommandError::new(ErrorCode::Unauthorized, "the first command must be `connect`");
            return Err(error.closing(Close::BadRequest));
        };
        let id = id.unwrap_or(0);
        match verb {
            Verb::Connect(_) => Err(CommandError::new(ErrorCode::BadRequest, "already connected")),
            Verb::Refresh(refresh) => self.refresh(id, &person, &refresh),
            Verb::Subscribe(verb) => self.subscribe(id, &person, &verb),
            Verb::Unsubscribe(verb) => self.unsubscribe(id, &verb),
            Verb::Publish(verb) => self.publish(id, &person, &verb),
            Verb::Edit(verb) => self.edit(id, &person, &verb),
            Verb::Delete(verb) => self.delete(id, &person, &verb),
            Verb::React(verb) => self.react(id, &person, &verb),
            Verb::History(verb) => self.history(id, &person, &verb),
            Verb::Presence(verb) => self.presence(id, &person, &verb),
            Verb::PresenceStats(verb) => self.presence_stats(id, &person, &verb),
            Verb::Typing(verb) => self.typing(id, &person, &verb),
            Verb::Receipt(verb) => self.receipt(id, &person, &verb),
            Verb::Receipts(verb) => self.receipts(id, &verb),
        }
    }

    fn connect(self, id: u64, connect: &Connect<'_>) -> Result<(), CommandError> {
        let identity = match connect.token.as_deref() {
            Some(token) => self.signed_in(token)?,
            None => self.guest()?,
        };
        let client: Arc<str> = self.gateway.context.ids.random_hex(16).into();
        let profile = Arc::new(self.profile(client, &identity, connect)?);
        if identity.kind != IdentityKind::Guest {
            let limit = self.gateway.config.connections.max_per_user;
            if !self.gateway.connections.claim_user(&profile.user, limit) {
                let error = CommandError::new(ErrorCode::LimitExceeded, "too many connections of this user");
                return Err(error.closing(Close::ConnectionLimit));
            }
        }
        self.connection
            .introduce(Person { identity: identity.clone(), profile: profile.clone() }, Stage::Native);
        self.end_if_revoked()?;
        self.gateway.metrics.connected.inc();
        // A subscription often stands in the same frame: its answer comes from the room's shard and goes with this one.
        let text = reply::result(id, &self.connected(&identity, &profile));
        self.connection.outbound.hold(encode::text_frame(&text));
        Ok(())
    }

    fn connected<'b>(&'b self, identity: &Identity, profile: &'b Profile) -> Connected<'b> {
        let config = &self.gateway.config;
        let is_guest = identity.kind == IdentityKind::Guest;
        Connected {
            profile,
            node: &self.gateway.context.node.0,
            session: is_guest.then(|| self.gateway.guests.session(&profile.user)),
            version: self.gateway.context.version,
            expires_in: self.expires_in(identity),
            ping_ms: millis(config.connections.ping_interval),
            pong_ms: millis(config.connections.pong_timeout),
            limits: LimitsShown {
                frame: config.limits.frame.0,
                payload: config.limits.payload.0,
                rooms: config.limits.rooms,
                history: config.limits.history_page,
            },
            caps: CAPABILITIES,
        }
    }

    fn signed_in(self, token: &str) -> Result<Arc<Identity>, CommandError> {
        if self.origin == OriginTrust::GuestsOnly {
            let message = "pages of this origin may not sign in: see listen.allowed_origins";
            let error = CommandError::new(ErrorCode::PermissionDenied, message);
            return Err(error.closing(Close::PermissionDenied));
        }
        self.gateway.context.auth.verify(token).map_err(|error| {
            let close = if error == TokenError::Expired { Close::Expired } else { Close::InvalidToken };
            token_error(error).closing(close)
        })
    }

    fn guest(self) -> Result<Arc<Identity>, CommandError> {
        self.gateway.context.auth.guest().ok_or_else(|| {
            let error =
                CommandError::new(ErrorCode::Unauthorized, "guests are not allowed: connect with a token");
            error.closing(Close::InvalidToken)
        })
    }

    fn profile(
        self,
        client: Arc<str>,
        identity: &Identity,
        connect: &Connect<'_>,
    ) -> Result<Profile, CommandError> {
        let limits = &self.gateway.config.limits;
        if identity.kind != IdentityKind::Guest {
            let name = identity.name.clone().unwrap_or_else(|| identity.subject.clone());
            let avatar = identity.avatar.clone().unwrap_or_else(|| DEFAULT_AVATAR.into());
            return Ok(Profile { client, user: identity.subject.clone(), name, avatar });
        }
        let name = display_text(connect.username.as_deref().unwrap_or("Guest"), limits.name, "username")?;
        let avatar =
            display_text(connect.avatar.as_deref().unwrap_or(DEFAULT_AVATAR), limits.avatar, "avatar")?;
        let known = connect.session.as_deref().and_then(|session| self.gateway.guests.user_of(session));
        let user = known.unwrap_or_else(|| Guests::user(&client));
        Ok(Profile { client, user, name, avatar })
    }

    fn refresh(self, id: u64, person: &Person, refresh: &Refresh<'_>) -> Result<(), CommandError> {
        let identity = self.gateway.context.auth.verify(&refresh.token).map_err(token_error)?;
        if identity.subject != person.identity.subject {
            return Err(CommandError::new(
                ErrorCode::Unauthorized,
                "the token is another user's: connect anew",
            ));
        }
        let expires_in = self.expires_in(&identity);
        let person = Person { identity, profile: person.profile.clone() };
        self.connection.replace_person(person.clone());
        self.end_if_revoked()?;
        for room in self.connection.rooms() {
            if !person.identity.allows("chat", "subscribe", &room.resource()) {
                self.expel(&room);
            }
        }
        self.reply(id, &Refreshed { expires_in });
        Ok(())
    }

    /// Refuses a token that was revoked between its check and now, when nobody could see whose connection this is.
    fn end_if_revoked(self) -> Result<(), CommandError> {
        if is_revoked(self.gateway, self.connection) {
            return Err(token_error(TokenError::Revoked).closing(Close::InvalidToken));
        }
        Ok(())
    }

    /// Ends a subscription that the new token does not allow.
    fn expel(self, room: &RoomId) {
        expel(self.gateway, self.connection, room, Unsubscribed::PERMISSION);
    }

    fn expires_in(self, identity: &Identity) -> Option<u64> {
        let now = self.gateway.context.clock.now_millis() / 1000;
        identity.expires_at.map(|at| at.saturating_sub(now))
    }

    /// Parses a channel's name, and requires a subscription to it.
    pub(super) fn subscribed(self, channel: &str) -> Result<RoomId, CommandError> {
        let room = parse_room(channel)?;
        if self.connection.is_in(&room) { Ok(room) } else { Err(CommandError::not_subscribed()) }
    }

    /// Claims a place for a command whose answer takes time.
    pub(super) fn begin(self) -> Result<InFlight, CommandError> {
        let limit = self.gateway.config.limits.in_flight;
        self.connection
            .begin(limit)
            .ok_or_else(|| CommandError::too_many(std::time::Duration::from_millis(100)))
    }

    /// Answers a command.
    pub(super) fn reply(self, id: u64, result: &impl Serialize) {
        reply_to(self.connection, id, result);
    }
}

/// Answers a command; id 0 wants no answer.
pub(super) fn reply_to(connection: &Connection, id: u64, result: &impl Serialize) {
    if id != 0 {
        connection.outbound.send(&encode::text_frame(&reply::result(id, result)));
    }
}

/// Answers a command whose work has ended.
pub(super) fn answer(
    gateway: &Gateway,
    connection: &Connection,
    id: u64,
    outcome: Result<impl Serialize, CommandError>,
) {
    match outcome {
        Ok(result) => reply_to(connection, id, &result),
        Err(error) => {
            gateway.metrics.errors.inc();
            if id != 0 {
                connection.outbound.send(&encode::text_frame(&reply::error(id, &error)));
            }
        }
    }
}

/// Ends a subscription from the server's side, and tells the client why.
pub(crate) fn expel(gateway: &Arc<Gateway>, connection: &Arc<Connection>, room: &RoomId, why: Unsubscribed) {
    if !connection.exit(room) {
        return;
    }
    let mut text = Vec::new();
    reply::push(&mut text, room, "unsub", &why);
    connection.outbound.send(&encode::text_frame(&text));
    leave(gateway, connection, room);
}

/// Tells the room that a connection has left it.
pub(super) fn leave(gateway: &Arc<Gateway>, connection: &Connection, room: &RoomId) {
    let command = RoomCommand::Leave { room: room.clone(), connection: connection.id };
    if let Err(command) = gateway.rooms.try_send(room, command) {
        let (room, owner) = (room.clone(), gateway.clone());
        gateway.context.tasks.spawn_light(async move { owner.rooms.send(&room, command).await });
    }
}

/// Parses a channel's name.
pub(super) fn parse_room(channel: &str) -> Result<RoomId, CommandError> {
    RoomId::parse(channel).ok_or_else(|| {
        let message = "a channel's name is 1 to 128 bytes of A-Z a-z 0-9 . _ - : / @";
        CommandError::new(ErrorCode::UnknownChannel, message)
    })
}

/// Checks a text that others will see.
pub(super) fn display_text(text: &str, limit: usize, what: &str) -> Result<Arc<str>, CommandError> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(CommandError::new(
            ErrorCode::BadRequest,
            format!("`{what}` is empty or has control characters"),
        ));
    }
    if text.len() > limit {
        return Err(CommandError::new(
            ErrorCode::LimitExceeded,
            format!("`{what}` is longer than {limit} bytes"),
        ));
    }
    Ok(text.into())
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
}

fn token_error(error: TokenError) -> CommandError {
    let code = if error == TokenError::Expired { ErrorCode::TokenExpired } else { ErrorCode::Unauthorized };
    CommandError::new(code, format!("the token is refused: {error}"))
}
