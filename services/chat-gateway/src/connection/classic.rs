//! The classic protocol's side of a connection. It lives in one room, which it enters by connecting.

use super::{
    Connection, frames,
    handle::{Person, Stage},
    publishing::{append, room_stream},
    session::display_text,
    task::Flow,
};
use crate::{
    gateway::Gateway,
    guests::Guests,
    limits::Payer,
    protocol::{
        classic::{self, DEFAULT_AVATAR, Inbound, Outbound, User},
        close::Close,
        ids::RoomId,
        publication::{Draft, Kind, Profile},
    },
    room::{
        Command, Subscribe,
        handle::Answer,
        presence::member,
        shown,
        state::{Listener, Subscriber},
    },
};
use parking_lot::Mutex;
use patchbay_auth::Identity;
use patchbay_backplane::BackplaneError;
use patchbay_websocket::{Decoder, encode};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Messages that may wait until the newcomer has been welcomed.
const EARLY: usize = 64;
/// People on the list that a newcomer gets.
const LISTED: usize = 1000;

const TOO_OFTEN: &str = "消息过于频繁,请稍后再试";
const TOO_LONG: &str = "消息内容过长";
const AWAY: &str = "服务暂时不可用,请稍后再试";

/// A connection to `/`.
pub(super) struct Classic {
    decoder: Decoder,
    visit: Arc<Visit>,
}

/// What the connection and its entering task share.
struct Visit {
    room: RoomId,
    identity: Arc<Identity>,
    /// Messages that came before the welcome was sent; `None` from then on.
    early: Mutex<Option<Vec<Inbound>>>,
}

impl Classic {
    /// Opens the door, if guests may talk and listen behind it.
    pub(super) fn new(gateway: &Gateway, room: RoomId) -> Option<Self> {
        let identity = gateway.context.auth.guest()?;
        let resource = room.resource();
        let welcome =
            ["subscribe", "publish"].iter().all(|action| identity.allows("chat", action, &resource));
        let max_message = u32::try_from(gateway.config.limits.frame.0).unwrap_or(u32::MAX);
        welcome.then(|| Self {
            decoder: Decoder::new(max_message),
            visit: Arc::new(Visit { room, identity, early: Mutex::new(Some(Vec::new())) }),
        })
    }

    /// Welcomes the newcomer, in the background.
    pub(super) fn enter(&self, gateway: &Arc<Gateway>, connection: &Arc<Connection>) {
        let (visit, gateway, connection) = (self.visit.clone(), gateway.clone(), connection.clone());
        gateway.context.tasks.clone().spawn_light(async move {
            if let Err(error) = visit.enter(&gateway, &connection).await {
                tracing::debug!(%error, "a classic client could not enter");
                say(&connection, &Outbound::Error { message: AWAY });
                connection.end(Close::ForceReconnect, gateway.seconds());
            }
        });
    }

    pub(super) fn input(
        &mut self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        bytes: &mut [u8],
    ) -> Flow {
        let visit = &self.visit;
        frames::drive(gateway, connection, &mut self.decoder, bytes, |text| match classic::parse(text) {
            Ok(inbound) => visit.take(gateway, connection, inbound),
            Err(message) => say(connection, &Outbound::Error { message: &message }),
        })
    }
}

impl Visit {
    /// Names the newcomer by how many are present, tells it who they are, and lets it listen.
    async fn enter(
        &self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
    ) -> Result<(), BackplaneError> {
        let backplane = &gateway.context.backplane;
        let group = room_stream(&self.room);
        let present = backplane.stats(&group).await?.clients + 1;
        let client: Arc<str> = gateway.context.ids.random_hex(16).into();
        let profile = Arc::new(Profile {
            user: Guests::user(&client),
            client,
            name: format!("用户{present}").into(),
            avatar: DEFAULT_AVATAR.into(),
        });
        let ttl = gateway.config.rooms.presence_ttl.duration();
        backplane.join(&gateway.context.node, vec![(group.clone(), member(&profile))], ttl).await?;
        let members = backplane.members(&group, LISTED).await?;
        say(connection, &Outbound::welcome(&profile.client, members.total));
        let people: Vec<_> = members.members.iter().map(shown).collect();
        let users = people.iter().map(|person| User {
            client_id: &person.client,
            username: person.name.as_ref().into(),
            avatar: person.avatar.as_ref().into(),
        });
        say(connection, &Outbound::UsersList { users: users.collect() });
        connection
            .introduce(Person { identity: self.identity.clone(), profile: profile.clone() }, Stage::Classic);
        gateway.metrics.connected.inc();
        if let Err(error) = self.listen(gateway, connection, profile.clone()).await {
            // Gone while it was being welcomed: nobody else takes it off the list.
            backplane.leave(&group, &profile.client).await?;
            return Err(error);
        }
        let mut early = self.early.lock();
        for inbound in early.take().unwrap_or_default() {
            self.act(gateway, connection, inbound);
        }
        Ok(())
    }

    async fn listen(
        &self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        profile: Arc<Profile>,
    ) -> Result<(), BackplaneError> {
        let (done, answered) = oneshot::channel();
        let subscriber = Self::subscriber(connection, profile);
        let answer = Answer::Channel(done);
        let subscribe = Subscribe { room: self.room.clone(), subscriber, recover: None, answer };
        // A fresh connection is in no room.
        drop(connection.enter(&self.room, 1));
        gateway.rooms.send(&self.room, Command::Subscribe(subscribe)).await;
        match answered.await {
            Ok(true) => Ok(()),
            _ => Err(BackplaneError::Unavailable("the room could not be opened".to_owned())),
        }
    }

    fn subscriber(connection: &Arc<Connection>, profile: Arc<Profile>) -> Subscriber {
        let listener = Listener::Classic { connection: connection.clone() };
        Subscriber { id: connection.id, profile: Some(profile), listener }
    }

    fn take(&self, gateway: &Arc<Gateway>, connection: &Arc<Connection>, inbound: Inbound) {
        if inbound == Inbound::Ping {
            return say(connection, &Outbound::Pong);
        }
        let mut early = self.early.lock();
        match early.as_mut() {
            Some(waiting) if waiting.len() < EARLY => waiting.push(inbound),
            Some(_) => say(connection, &Outbound::Error { message: TOO_OFTEN }),
            None => self.act(gateway, connection, inbound),
        }
    }

    fn act(&self, gateway: &Arc<Gateway>, connection: &Arc<Connection>, inbound: Inbound) {
        let Some(person) = connection.person() else { return };
        let (rate, now) = (gateway.config.rates.connection, gateway.micros());
        if connection.with_rate(|bucket| bucket.take(rate, now)).is_err() {
            return say(connection, &Outbound::Error { message: TOO_OFTEN });
        }
        match inbound {
            Inbound::Ping => {}
            Inbound::Chat { content, timestamp } => {
                self.chat(gateway, connection, &person, &content, timestamp.as_deref());
            }
            Inbound::UserInfo { username, avatar } => {
                self.rename(gateway, connection, &person, &username, &avatar);
            }
        }
    }

    fn chat(
        &self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        person: &Person,
        content: &str,
        timestamp: Option<&str>,
    ) {
        let data = classic::data(content, timestamp);
        if data.get().len() as u64 > gateway.config.limits.payload.0 {
            return say(connection, &Outbound::Error { message: TOO_LONG });
        }
        let rates = &gateway.config.rates;
        let by_user = gateway.limits.take(Payer::User(person.profile.user.clone()), rates.user);
        let by_address = gateway.limits.take(Payer::Address(connection.address()), rates.address);
        if by_user.is_err() || by_address.is_err() {
            return say(connection, &Outbound::Error { message: TOO_OFTEN });
        }
        let draft = Draft {
            ts: gateway.context.clock.now_millis(),
            kind: Kind::Message,
            from: &person.profile,
            data: Some(&data),
            key: None,
            reply_to: None,
            reference: None,
        };
        let appended = append(gateway, &self.room, &person.profile, None, draft.encode());
        let Some(place) = connection.begin(gateway.config.limits.in_flight) else {
            return say(connection, &Outbound::Error { message: TOO_OFTEN });
        };
        let gateway = gateway.clone();
        gateway.context.tasks.clone().spawn_light(async move {
            match appended.await {
                Ok(_) => {
                    gateway.metrics.published.inc();
                }
                Err(error) => {
                    tracing::debug!(%error, "a classic message was not accepted");
                    say(&place, &Outbound::Error { message: AWAY });
                }
            }
        });
    }

    fn rename(
        &self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        person: &Person,
        username: &str,
        avatar: &str,
    ) {
        let limits = &gateway.config.limits;
        let name = display_text(username, limits.name, "username");
        let avatar = display_text(avatar, limits.avatar, "avatar");
        let (Ok(name), Ok(avatar)) = (name, avatar) else {
            return say(connection, &Outbound::Error { message: TOO_LONG });
        };
        let Profile { client, user, .. } = person.profile.as_ref().clone();
        let profile = Arc::new(Profile { client, user, name, avatar });
        connection.replace_person(Person { identity: person.identity.clone(), profile: profile.clone() });
        let command =
            Command::Renamed { room: self.room.clone(), subscriber: Self::subscriber(connection, profile) };
        if gateway.rooms.try_send(&self.room, command).is_err() {
            say(connection, &Outbound::Error { message: AWAY });
        }
    }
}

fn say(connection: &Connection, message: &Outbound<'_>) {
    connection.outbound.send(&encode::text_frame(&message.encode()));
}
