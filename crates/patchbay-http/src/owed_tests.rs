use super::*;
use http_body_util::BodyExt;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_secs(20);

fn answer(body: Body) -> Response<Body> {
    Response::new(body)
}

#[tokio::test(start_paused = true)]
async fn time_runs_while_nothing_is_owed() {
    let (owed, begun) = (Owed::default(), Instant::now());
    owed.none_for(PATIENCE).await;
    assert_eq!(begun.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn time_stands_while_an_answer_is_owed_and_begins_anew_after_it() {
    let (owed, begun) = (Owed::default(), Instant::now());
    let asking = async {
        tokio::time::sleep(STEP).await;
        let debt = owed.incur();
        tokio::time::sleep(PATIENCE * 10).await;
        drop(debt);
    };
    tokio::join!(owed.none_for(PATIENCE), asking);
    assert_eq!(begun.elapsed(), STEP + PATIENCE * 11);
}

#[tokio::test(start_paused = true)]
async fn a_short_request_begins_it_anew_too() {
    let (owed, begun) = (Owed::default(), Instant::now());
    let asking = async {
        tokio::time::sleep(STEP).await;
        drop(owed.incur());
    };
    tokio::join!(owed.none_for(PATIENCE), asking);
    assert_eq!(begun.elapsed(), STEP + PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_no_debt() {
    let owed = Owed::default();
    let mut paid = owed.incur().carry(answer(Body::from(vec![7; PIECE * 2]))).into_body();
    let piece = paid.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!((piece.len(), paid.size_hint().exact()), (PIECE, Some(PIECE as u64)));
    let begun = Instant::now();
    owed.none_for(PATIENCE).await;
    assert_eq!(begun.elapsed(), PATIENCE, "though the body is not at its end");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_nothing_yet_is_owed() {
    let owed = Owed::default();
    let mut paid = owed.incur().carry(answer(Body::new(Silent))).into_body();
    assert!(timeout(PATIENCE, paid.frame()).await.is_err());
    assert!(timeout(PATIENCE * 10, owed.none_for(PATIENCE)).await.is_err());
    drop(paid);
    assert!(timeout(PATIENCE * 2, owed.none_for(PATIENCE)).await.is_ok());
}

#[tokio::test]
async fn a_body_comes_through_whole() {
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE * 3 + 5] {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let paid = Owed::default().incur().carry(answer(Body::from(bytes.clone()))).into_body();
        assert_eq!(paid.size_hint().exact(), Some(length as u64));
        assert_eq!(paid.collect().await.unwrap().to_bytes(), bytes);
    }
}

/// A body that never says anything.
struct Silent;

impl axum::body::HttpBody for Silent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Pending
    }
}
