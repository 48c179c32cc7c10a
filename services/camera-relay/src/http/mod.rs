//! The doors for viewers, on the service's HTTP port: WHEP, the course's WebSocket, MSE over WebSocket, the viewer page, snapshots and MJPEG.
//!
//! A door knows its protocol and who stands at it; what a viewer is sent is `viewing`'s business. REST stands beside them and comes from `rest`.

mod body;
mod frame;
mod links;
mod mse;
mod offers;
mod pages;
mod pictures;
mod visitor;
mod websocket;
mod whep;

use crate::{core::Core, viewing::Viewings};
use axum::{Router, middleware::from_fn_with_state};
use http::{HeaderValue, StatusCode};
use offers::Offers;
use patchbay_chassis::{DrainHook, StartError};
use patchbay_transcode::Problem;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;
use whep::Sessions;

/// How often a drain looks whether all viewers have gone.
const LOOK: Duration = Duration::from_millis(20);

/// What all doors share.
struct Doors {
    viewings: Arc<Viewings>,
    sessions: Sessions,
    offers: Offers,
    places: websocket::Places,
    /// `Link` headers with servers that help viewers to reach us.
    links: Vec<HeaderValue>,
    pictures: pictures::Pictures,
}

impl Doors {
    /// Counts an offer of an address.
    fn take_offer(&self, address: IpAddr) -> Result<(), Problem> {
        self.offers.take(address, Instant::now()).map_err(|after| {
            self.viewings.core.metrics.refused_viewers.inc();
            let message = "too many offers come from your address, come back later";
            let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE", message);
            problem.retry_after = Some(after);
            problem
        })
    }
}

/// All doors; `rest` is the router of the calls, which answers for paths that are not there.
pub(crate) fn router(core: &Arc<Core>, viewings: &Arc<Viewings>, rest: Router) -> Result<Router, StartError> {
    let (media, limits) = (&core.config.media, &core.config.limits);
    let links = links::of(&media.ice_servers)
        .map_err(|error| StartError::failed("read a credential file of media.ice_servers", error))?;
    let sessions = Sessions::new(viewings);
    // Doors are opened once.
    drop(core.sessions.set(Box::new(sessions.keeper())));
    let doors = Arc::new(Doors {
        viewings: Arc::clone(viewings),
        sessions,
        offers: Offers::new(limits.offers_per_second, limits.offers_burst),
        places: websocket::Places::new(media),
        links,
        pictures: pictures::Pictures::new(core),
    });
    let routers = [
        whep::router(&doors),
        websocket::router(&doors),
        mse::router(&doors),
        pages::router(&doors),
        pictures::router(&doors),
    ];
    let all = routers.into_iter().fold(rest, Router::merge);
    Ok(all.layer(from_fn_with_state(Arc::clone(core), frame::around)))
}

/// Tells all viewers to come back elsewhere: those at the WebSocket door with 1001, others by closing their connection, which is the only word that
/// reaches them. Then waits for them and for requests under way, as `rest` does.
pub(crate) fn drain(viewings: &Arc<Viewings>, rest: DrainHook) -> DrainHook {
    let viewings = Arc::clone(viewings);
    Box::new(move |plan| {
        Box::pin(async move {
            viewings.send_everybody_away(plan.spread);
            let gone = async {
                while viewings.core.viewers.count() > 0 {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::join!(gone, rest(plan));
        })
    })
}
