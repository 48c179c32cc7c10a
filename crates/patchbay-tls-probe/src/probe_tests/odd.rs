//! Servers and ways to them that are a little different, and nobody's enemy.

use super::{
    servers::{self, OpenSsl, certified, fake},
    *,
};

/// A way to a server that takes the records away which make TLS 1.3 look like the resumption of a session: many servers do not send them.
async fn without_disguise(server: SocketAddr) -> SocketAddr {
    fake(move |stream: TcpStream| async move {
        let Ok(onward) = TcpStream::connect(server).await else { return };
        let (mut from_client, mut to_client) = stream.into_split();
        let (mut from_server, mut to_server) = onward.into_split();
        let back = async {
            let mut header = [0; 5];
            while from_server.read_exact(&mut header).await.is_ok() {
                let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
                if from_server.read_exact(&mut body).await.is_err() {
                    break;
                }
                let is_passed = header[0] == 20
                    || to_client.write_all(&[&header[..], body.as_slice()].concat()).await.is_ok();
                if !is_passed {
                    break;
                }
            }
        };
        let forth = tokio::io::copy(&mut from_client, &mut to_server);
        tokio::select! {
            () = back => {}
            _ = forth => {}
        }
    })
    .await
}

/// A way to a server on which hellos are lost that do not fit one packet, as they are with some boxes between.
async fn loses_long_hellos(server: SocketAddr) -> SocketAddr {
    fake(move |mut stream: TcpStream| async move {
        let mut header = [0; 5];
        while stream.peek(&mut header).await.is_ok_and(|count| (1..5).contains(&count)) {
            tokio::task::yield_now().await;
        }
        if u16::from_be_bytes([header[3], header[4]]) > 1200 {
            let mut lost = [0; 4096];
            while stream.read(&mut lost).await.is_ok_and(|count| count > 0) {}
            return;
        }
        let Ok(mut onward) = TcpStream::connect(server).await else { return };
        let _ended = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
    })
    .await
}

#[tokio::test]
async fn groups_are_found_with_a_server_that_says_nothing_after_it_asks_for_another_hello() {
    let certified = certified(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let server = OpenSsl::start(&certified, &["-tls1_3", "-groups", "P-256:X448"]).await;
    let report = probed(without_disguise(server.address).await).await;
    assert_eq!(spoken(&report), [Version::Tls13]);
    assert_eq!(report.groups.iter().collect::<BTreeSet<_>>(), [&"secp256r1", &"x448"].into());
}

#[tokio::test]
async fn a_current_client_is_told_of_where_long_hellos_are_lost() {
    let certified = certified(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let server = OpenSsl::start(&certified, &["-tls1_3"]).await;
    let report = probed(loses_long_hellos(server.address).await).await;
    let negotiated = report.negotiated.unwrap();
    assert_eq!((negotiated.version, negotiated.group.as_str()), (Version::Tls13, "x25519"));
    assert_eq!(report.chain.unwrap().certificates.len(), 1);

    let target = Target::parse(&loses_long_hellos(server.address).await.to_string(), None, None).unwrap();
    let report = certificates(&target, &Guard::open(), &options()).await.unwrap();
    assert_eq!(report.chain.unwrap().certificates.len(), 1, "{}", report.failure_message);
}

#[tokio::test]
async fn certificates_are_shown_in_the_clear_where_a_current_client_is_not_answered() {
    let certified = certified(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let server = servers::rustls(&certified, &[]).await;
    // Only the first connection comes through.
    let taken = Arc::new(AtomicUsize::new(0));
    let way = fake(move |mut stream: TcpStream| {
        let is_first = taken.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if !is_first {
                let mut lost = [0; 4096];
                while stream.read(&mut lost).await.is_ok_and(|count| count > 0) {}
                return;
            }
            let Ok(mut onward) = TcpStream::connect(server).await else { return };
            let _ended = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        }
    });
    let target = Target::parse(&way.await.to_string(), None, None).unwrap();
    let report = certificates(&target, &Guard::open(), &impatient()).await.unwrap();
    assert_eq!(report.chain.map(|chain| chain.certificates.len()), Some(1), "{}", report.failure_message);
}
