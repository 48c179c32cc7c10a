//! Three gateways over one Redis, with a fleet of clients on them.

use crate::{
    admin::{self, Admin},
    fleet::{Fleet, Size},
    gateway::{Gateway, Settings},
};
use anyhow::Result;
use patchbay_proto::chat::v1::PresenceStatsRequest;
use patchbay_testkit::{
    keys::Keys,
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::time::Duration;
use tempfile::TempDir;

/// Everything that a fault is done to. Fields end in this order: clients' servers before Redis.
pub struct World {
    /// Gateways.
    pub gateways: Vec<Gateway>,
    /// Redis.
    pub redis: RedisServer,
    /// Keys of the issuer.
    pub keys: Keys,
    /// Everything on disk.
    pub folder: TempDir,
}

impl World {
    /// Starts Redis and `count` gateways.
    pub async fn start(count: usize, persistence: Persistence, settings: Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let redis = RedisServer::start(persistence).await?;
        let settings = settings.set("backplane.url", &redis.url());
        let mut gateways = Vec::new();
        for number in 0..count {
            let name = format!("gateway-{number}");
            gateways.push(Gateway::start(folder.path(), &name, &keys, settings.clone()).await?);
        }
        Ok(Self { gateways, redis, keys, folder })
    }

    /// Starts clients over all gateways.
    pub async fn fleet(&self, prefix: &str, size: Size) -> Result<Fleet> {
        Fleet::start(self.gateways.iter().map(Gateway::url).collect(), &self.keys, prefix, size).await
    }

    /// gRPC on a gateway, as an operator.
    pub async fn admin(&self, gateway: usize) -> Result<Admin> {
        let token = self.keys.token("operator", &["admin"])?;
        admin::connect(self.gateways[gateway].grpc, Some(&token)).await
    }

    /// Waits until presence, as a gateway tells it, lists exactly the fleet.
    pub async fn wait_present(&self, gateway: usize, fleet: &Fleet, deadline: Duration) -> Result<Duration> {
        let admin = self.admin(gateway).await?;
        let each = fleet.len() / fleet.rooms().len();
        wait_until("presence lists the fleet and nobody else", deadline, async || {
            for room in fleet.rooms() {
                if count(admin.clone(), room).await != Some(each) {
                    return false;
                }
            }
            true
        })
        .await
    }
}

async fn count(mut admin: Admin, room: &str) -> Option<usize> {
    let request = PresenceStatsRequest { room: room.to_owned() };
    let stats = admin.presence_stats(request).await.ok()?.into_inner();
    usize::try_from(stats.clients).ok()
}
