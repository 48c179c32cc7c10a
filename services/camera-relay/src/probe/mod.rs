//! Looks at a source that is no camera yet, as a viewer would: reaches it, opens it, waits for a picture, measures for some seconds, and says in words
//! how browsers would get it and what could be better.
//!
//! The source runs in a hub of its own, once, without another try; nobody else sees it. When the caller goes, all of it is dropped and stops.

mod advice;
mod delivery;
mod findings;
mod look;
mod picture;
mod profile;
mod reach;

pub(crate) use findings::{Findings, Found, Problem, Step};
pub(crate) use reach::EGRESS;

use crate::{
    cameras::{CameraName, CameraSpec},
    core::Core,
    error::Error,
};
use findings::Steps;
use futures_util::future::BoxFuture;
use look::Look;
use patchbay_media::hub::{Publisher, Source, SourceError};
use reach::Target;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Places for sources that are looked at at the same time.
pub(crate) struct Probes {
    places: Arc<Semaphore>,
    most: usize,
}

impl Probes {
    /// Nobody looks yet.
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// A place for what connects to where a caller says.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        let free = Arc::clone(&self.places).try_acquire_owned();
        free.map(Arc::new).map_err(|_| Error::TooManyProbes(self.most))
    }
}

/// A place, kept until the source has stopped, whether or not somebody still waits.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

/// Looks at a source. Every failure of the source is an answer; an error is for what cannot be tried at all. Whoever may is asked before.
pub(crate) async fn probe(
    core: &Arc<Core>,
    name: &CameraName,
    spec: CameraSpec,
    within: Duration,
) -> Result<Findings, Error> {
    let deadline = Instant::now() + within;
    let target = Target::of(&spec.source);
    let of_source = advice::of_source(&spec.source);
    let kind = spec.source.kind();
    let source = core.cameras.source_of(name, spec)?;
    let place = core.probes.place()?;
    let source = Arc::new(Placed { source, place: Arc::clone(&place) });
    let mut findings = Findings::default();
    let mut steps = Steps::begin();
    let reached = match &target {
        Some(target) => target.reach(core, &mut steps, deadline).await,
        None => Ok(()),
    };
    let looked = match reached {
        Ok(()) => Look::new(core, source, place, deadline).run(name, &mut steps, &mut findings).await,
        Err(problem) => Err(problem),
    };
    match looked {
        Ok(()) => findings.advice.extend(of_source),
        Err(problem) => {
            findings.advice = advice::after(&problem, kind);
            steps.fail(&problem);
            findings.problem = Some(problem);
        }
    }
    findings.steps = steps.done();
    Ok(findings)
}

/// A source that keeps its place while it runs.
struct Placed {
    source: Arc<dyn Source>,
    place: Place,
}

impl Source for Placed {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let place = Arc::clone(&self.place);
        let running = Arc::clone(&self.source).run(publisher, stop);
        Box::pin(async move {
            let _place = place;
            running.await
        })
    }
}
