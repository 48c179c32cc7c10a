//! One item or many: read apart, done in one call, each with its own answer.

use super::{
    Outcome,
    body::Fields,
    frame::{Answer, Refusal},
    session::Session,
};
use http::StatusCode;
use patchbay_proto::crypto::v1::ItemError;
use serde_json::{Map, Value};
use tonic::Status;

/// What became of one item.
pub(super) type Done<T> = Result<T, Refused>;

/// Why an item was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    reason: String,
    message: String,
}

impl Refused {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { reason: "BAD_REQUEST".to_owned(), message: message.into() }
    }

    pub(super) fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    /// Adds a hint for one reason.
    pub(super) fn hint(mut self, reason: &str, hint: &str) -> Self {
        if self.is(reason) {
            self.message.push_str(hint);
        }
        self
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.first())
    }
}

impl From<ItemError> for Refused {
    fn from(error: ItemError) -> Self {
        Self { reason: error.reason, message: error.message }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::of_item(&refused.reason, &refused.message)
    }
}

/// Takes results of a batch apart: `results!(encrypt_result, answer.results)`.
macro_rules! results {
    ($kind:ident, $results:expr) => {
        $results
            .into_iter()
            .map(|result| match result.outcome {
                Some(patchbay_proto::crypto::v1::$kind::Outcome::Ok(done)) => Ok(done),
                Some(patchbay_proto::crypto::v1::$kind::Outcome::Error(error)) => Err(error.into()),
                None => Err($crate::vault::batch::Refused::new("there is no answer")),
            })
            .collect::<Vec<$crate::vault::batch::Done<_>>>()
    };
}
pub(super) use results;

/// What to do when items of a batch are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// The status is 400, or what the caller asked for where some were done.
    Tell(StatusCode),
    /// The status is 200; the items tell.
    InItems,
}

/// The items of a request.
pub(super) struct Batch {
    items: Vec<Fields>,
    is_many: bool,
}

impl Batch {
    /// The items of `batch_input`, or the request as the only one.
    pub(super) fn of(session: &Session, body: &Fields) -> Result<Self, Refusal> {
        Self::at_most(session.most_items(), body)
    }

    fn at_most(limit: usize, body: &Fields) -> Result<Self, Refusal> {
        Ok(match body.batch(limit)? {
            Some(items) => Self { items, is_many: true },
            None => Self { items: vec![body.clone()], is_many: false },
        })
    }

    pub(super) fn is_many(&self) -> bool {
        self.is_many
    }

    pub(super) fn items(&self) -> &[Fields] {
        &self.items
    }

    /// Reads every item.
    pub(super) fn read<Q>(&self, read: impl Fn(&Fields) -> Result<Q, Refusal>) -> Vec<Done<Q>> {
        self.items.iter().map(|item| read(item).map_err(Refused::from)).collect()
    }

    /// Tells what became of every item.
    pub(super) fn answer(self, done: Vec<Done<Map<String, Value>>>, failures: Failures) -> Outcome {
        if !self.is_many {
            let only = done.into_iter().next().unwrap_or_else(|| Err(Refused::new("there is no answer")));
            return only.map(Answer::map).map_err(Refusal::from);
        }
        let failed = done.iter().filter(|item| item.is_err()).count();
        let some = failed < done.len();
        if let (false, Some(refusal)) = (some, of_the_request(&done)) {
            return Err(refusal);
        }
        let results: Vec<Value> =
            self.items.iter().zip(done).map(|(item, done)| result(item, done)).collect();
        let answer = Answer::map(Map::from_iter([("batch_results".to_owned(), Value::Array(results))]));
        Ok(match failures {
            Failures::Tell(code) if failed > 0 && some => answer.with_status(code),
            Failures::Tell(_) if failed > 0 => answer.with_status(StatusCode::BAD_REQUEST),
            _ => answer,
        })
    }
}

/// What is said of one item, but holds for all that could be read.
fn of_the_request(done: &[Done<Map<String, Value>>]) -> Option<Refusal> {
    let refused = done.iter().filter_map(|item| item.as_ref().err());
    refused.cloned().map(Refusal::from).find(Refusal::is_of_the_request)
}

fn result(item: &Fields, done: Done<Map<String, Value>>) -> Value {
    let mut fields =
        done.unwrap_or_else(|refused| Map::from_iter([("error".to_owned(), Value::String(refused.message))]));
    let reference = item.text("reference").ok().flatten().unwrap_or_default();
    fields.insert("reference".to_owned(), reference.into());
    Value::Object(fields)
}

/// Sends the items that could be read, and puts the answers where they belong.
pub(super) async fn send<Q, A, F>(
    read: Vec<Done<Q>>,
    call: impl FnOnce(Vec<Q>) -> F,
) -> Result<Vec<Done<A>>, Refusal>
where
    F: Future<Output = Result<Vec<Done<A>>, Status>>,
{
    let (mut good, mut places) = (Vec::new(), Vec::new());
    for item in read {
        places.push(item.map(|item| good.push(item)));
    }
    let answers = if good.is_empty() { Vec::new() } else { call(good).await? };
    let mut answers = answers.into_iter();
    let lost = || Err(Refused::new("there is no answer"));
    Ok(places.into_iter().map(|place| place.and_then(|()| answers.next().unwrap_or_else(lost))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn batch(body: &Value) -> Batch {
        Batch::at_most(10, &Fields::parse(body.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn fields() -> Map<String, Value> {
        Map::from_iter([("x".to_owned(), json!(1))])
    }

    #[tokio::test]
    async fn answers_come_back_in_order_beside_items_that_could_not_be_read() {
        let read = vec![Ok(1), Err(Refused::new("odd")), Ok(3)];
        let done =
            send(read, |items| async move { Ok(items.into_iter().map(|item| Ok(item * 10)).collect()) });
        assert_eq!(done.await.unwrap(), vec![Ok(10), Err(Refused::new("odd")), Ok(30)]);
    }

    #[test]
    fn a_part_that_fails_gives_the_code_that_was_asked_for() {
        let body = json!({"batch_input": [{"reference": "a"}, {}]});
        let code = |done, failures| batch(&body).answer(done, failures).unwrap();
        let bad = || Err(Refused::new("odd"));
        let accepted = StatusCode::ACCEPTED;
        let expected = Answer::data(json!({"batch_results": [
            {"x": 1, "reference": "a"}, {"error": "odd", "reference": ""}
        ]}));
        assert_eq!(code(vec![Ok(fields()), bad()], Failures::Tell(accepted)), expected.with_status(accepted));
        let all = code(vec![bad(), bad()], Failures::Tell(accepted));
        assert_ne!(all, code(vec![bad(), bad()], Failures::InItems));
        assert_eq!(
            code(vec![Ok(fields()), Ok(fields())], Failures::Tell(accepted)),
            code(vec![Ok(fields()), Ok(fields())], Failures::InItems)
        );
    }

    #[test]
    fn missing_permission_refuses_the_whole() {
        let denied =
            || Err(Refused { reason: "PERMISSION_DENIED".to_owned(), message: "a scope".to_owned() });
        let refusal =
            batch(&json!({"batch_input": [{}, {}]})).answer(vec![denied(), denied()], Failures::InItems);
        assert_eq!(refusal.unwrap_err().status(), StatusCode::FORBIDDEN);
        let unread = vec![Err(Refused::new("odd")), denied()];
        let refusal = batch(&json!({"batch_input": [{}, {}]})).answer(unread, Failures::InItems);
        assert_eq!(refusal.unwrap_err().status(), StatusCode::FORBIDDEN);
        let single = batch(&json!({})).answer(vec![denied()], Failures::InItems);
        assert_eq!(single.unwrap_err().status(), StatusCode::FORBIDDEN);
    }
}
