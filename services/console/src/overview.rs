//! `patchbay.console.v1.Overview`: the node registry as people look at it.

use patchbay_auth::{Identity, MethodScopes, Requirement};
use patchbay_backplane::{BackplaneError, Health, NodeRecord, SharedBackplane};
use patchbay_chassis::{Clock, ErrorCode, NodeInfo, ServiceError, error};
use patchbay_proto::console::v1::{
    ListNodesRequest, ListNodesResponse, Node, NodeState, overview_server::Overview,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tonic::{Code, Request, Response, Status};

/// Time for the registry to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Who may call what.
pub(crate) fn methods() -> MethodScopes {
    let overview = Requirement::Scope { service: "console", action: "read" };
    MethodScopes::new("console.patchbay").method("/patchbay.console.v1.Overview/ListNodes", overview)
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
enum OverviewError {
    #[error("a token with scope `console:read:overview` is required")]
    Denied,
    #[error("the node registry does not answer, and nothing was seen of it yet")]
    Unavailable(#[source] Option<BackplaneError>),
}

impl ServiceError for OverviewError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Denied => ErrorCode::new(Code::PermissionDenied, "PERMISSION_DENIED"),
            Self::Unavailable(_) => ErrorCode::new(Code::Unavailable, "UNAVAILABLE"),
        }
    }
}

/// The service.
pub(crate) struct OverviewService {
    backplane: SharedBackplane,
    clock: Clock,
    /// What was last seen, shown while the backplane is away.
    seen: Mutex<Option<Vec<NodeRecord>>>,
}

impl OverviewService {
    pub(crate) fn new(backplane: SharedBackplane, clock: Clock) -> Self {
        Self { backplane, clock, seen: Mutex::default() }
    }

    /// Replicas and whether that is how it is now.
    async fn nodes(&self) -> Result<(Vec<NodeRecord>, bool), OverviewError> {
        let answer = tokio::time::timeout(TIMEOUT, self.backplane.nodes()).await;
        let error = match answer {
            Ok(Ok(nodes)) => {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(nodes.clone());
                return Ok((nodes, *self.backplane.health().borrow() == Health::Up));
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.map(|nodes| (nodes, false)).ok_or(OverviewError::Unavailable(error))
    }

    async fn list(&self, identity: Option<&Arc<Identity>>) -> Result<ListNodesResponse, OverviewError> {
        if !identity.is_some_and(|identity| identity.allows("console", "read", "overview")) {
            return Err(OverviewError::Denied);
        }
        let (records, backplane_up) = self.nodes().await?;
        let now = self.clock.now_millis();
        Ok(ListNodesResponse {
            nodes: records.into_iter().map(|record| node(record, now)).collect(),
            backplane: self.backplane.kind().to_owned(),
            backplane_up,
            time: Some(self.clock.now().into()),
        })
    }
}

#[tonic::async_trait]
impl Overview for OverviewService {
    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let listed = self.list(request.extensions().get()).await;
        listed.map(Response::new).map_err(|refused| error::to_status("console", &refused))
    }
}

/// A record as people see it; a replica whose own words cannot be read is listed without them.
fn node(record: NodeRecord, now_millis: u64) -> Node {
    let node = Node { id: record.id.to_string(), service: record.service, ..Node::default() };
    let Ok(info) = serde_json::from_slice::<NodeInfo>(&record.info) else { return node };
    let uptime = Duration::from_millis(now_millis.saturating_sub(info.started_at));
    Node {
        version: info.version,
        uptime: uptime.try_into().ok(),
        state: state(info.state).into(),
        detail: info.detail,
        figures: info.figures.into_iter().collect(),
        ..node
    }
}

fn state(state: patchbay_chassis::NodeState) -> NodeState {
    match state {
        patchbay_chassis::NodeState::Ready => NodeState::Ready,
        patchbay_chassis::NodeState::Degraded => NodeState::Degraded,
        patchbay_chassis::NodeState::NotReady => NodeState::NotReady,
    }
}
