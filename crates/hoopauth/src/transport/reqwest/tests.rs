//! The transport against servers that answer, break and stand still.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Barrier, mpsc};

use rustls::pki_types::PrivateKeyDer;
use tokio::sync::Semaphore;

use super::exchange::SHORT;
use super::*;
use crate::process::Process;
use crate::secret::Secret;
use crate::transport::{Body, TransportErrorKind};
use crate::web_url::{self, is_loopback};

#[test]
fn carries_method_headers_and_body() {
    let server = Server::answering(
        b"HTTP/1.1 201 Created\r\nX-Test: a\xff\r\nContent-Length: 5\r\n\r\nhello",
    );
    let response = transport().send(&post(&server.url, "grant_type=refresh_token")).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (201, &b"hello"[..]));
    assert_eq!(response.header("x-test"), Some("a\u{fffd}"));
    let request = server.request();
    assert!(request.starts_with("POST /oauth/token?q=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer planted\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ngrant_type=refresh_token"), "{request}");
    assert!(!request.contains("user-agent") && !request.contains("referer"), "{request}");
}

#[test]
fn a_failure_status_is_an_answer_and_a_redirect_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n\
                  Content-Length: 0\r\n\r\n";
    let server = Server::answering(answer.as_bytes());
    let response = transport().send(&get(&server.url)).unwrap();
    assert_eq!((response.status, response.header("location")), (302, Some("/elsewhere")));
    let server = Server::answering(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(transport().send(&get(&server.url)).unwrap().status, 503);
}

#[test]
fn an_answer_without_a_body_may_still_say_gzip() {
    let server = Server::answering(b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n");
    let response = transport().send(&get(&server.url)).unwrap();
    assert_eq!((response.status, response.body.len()), (204, 0));
}

#[test]
fn a_body_is_capped_whatever_its_length_says() {
    let mut request = get("");
    for (max_body, fits) in [(5, true), (4, false), (0, false)] {
        for head in ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            let server = Server::answering(&[head.as_bytes(), b"hello"].concat());
            request.url.clone_from(&server.url);
            request.max_body = max_body;
            let kind = transport().send(&request).map_err(|e| (e.kind, e.sent)).map(|r| r.body);
            let expected = if fits {
                Ok(b"hello".to_vec())
            } else {
                Err((TransportErrorKind::BodyTooLarge, true))
            };
            assert_eq!(kind, expected, "{max_body} {head}");
        }
    }
}

#[test]
fn bodies_of_every_length_arrive_whole_and_leave_the_connection_in_use() {
    for length in [0, 1, 8_192, SHORT - 1, SHORT, SHORT + 1, 4 * SHORT] {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let answer = [head.as_bytes(), &body].concat();
        let server = Server::start(move |mut stream| {
            stream.write_all(&answer)?;
            read_request(&mut stream);
            stream.write_all(&answer)
        });
        let transport = transport();
        for _ in 0..2 {
            assert_eq!(transport.send(&get(&server.url)).unwrap().body, body, "{length}");
        }
    }
}

#[test]
fn gzip_is_inflated_and_counted_inflated() {
    let server = Server::answering(&gzip_answer(HELLO_GZ, HELLO_GZ.len()));
    assert_eq!(transport().send(&get(&server.url)).unwrap().body, b"hello");

    let server = Server::answering(&gzip_answer(BOMB_GZ, BOMB_GZ.len()));
    let mut request = get(&server.url);
    request.max_body = 4_096;
    assert_eq!(transport().send(&request).unwrap().body.len(), 4_096);

    let server = Server::answering(&gzip_answer(BOMB_GZ, BOMB_GZ.len()));
    request.url.clone_from(&server.url);
    request.max_body = 4_095;
    assert_eq!(failure(&transport(), &request), (TransportErrorKind::BodyTooLarge, true));
}

#[test]
fn broken_answers_end_at_once() {
    let mut broken = HELLO_GZ.to_vec();
    broken[12] ^= 0xff;
    let answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".to_vec(),
        gzip_answer(&broken, broken.len()),
        gzip_answer(&HELLO_GZ[..HELLO_GZ.len() - 6], HELLO_GZ.len() - 6),
        gzip_answer(b"hello", 5),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        b"\x00\x01\x02".to_vec(),
        Vec::new(),
    ];
    for answer in answers {
        let server = Server::answering(&answer);
        let failure = failure(&transport(), &get(&server.url));
        assert_eq!(
            failure,
            (TransportErrorKind::Network, true),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[test]
fn a_dripping_body_and_a_silent_server_are_cut_at_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n\
          \x1f\x8b\x08\x08";
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    for head in [&head[..], &short[..], &gzip[..], b""] {
        let server = Server::dripping(head);
        let mut request = get(&server.url);
        request.timeout = Duration::from_millis(600);
        assert_eq!(failure(&transport(), &request), (TransportErrorKind::Timeout, true));
    }
}

#[test]
fn no_time_left_means_nothing_is_sent() {
    let mut request = get("http://127.0.0.1:9/");
    request.timeout = Duration::ZERO;
    assert_eq!(failure(&transport(), &request), (TransportErrorKind::Timeout, false));
    let server = Server::answering(OK);
    let mut request = get(&server.url);
    request.timeout = Duration::MAX;
    assert_eq!(transport().send(&request).unwrap().status, 200);
}

#[test]
fn a_refused_connection_was_not_sent() {
    let error = transport().send(&get(&format!("{}?code=planted", closed_port()))).unwrap_err();
    assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false));
    assert!(error.message.contains("127.0.0.1:") && !error.message.contains("planted"), "{error}");
}

#[test]
fn an_unreachable_proxy_or_an_unknown_name_was_not_sent() {
    let transport = through(&closed_port());
    for url in ["http://host.invalid/", "https://host.invalid/"] {
        let error = transport.send(&get(url)).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false));
        assert!(error.message.contains("`proxy`"), "{error}");
    }
    // Where the resolver knows all names under localhost, the port is closed.
    let failure = failure(
        &ReqwestTransport::new(TransportSettings::default()),
        &get("http://no.such.localhost:1/"),
    );
    assert_eq!(failure, (TransportErrorKind::Network, false));
}

#[test]
fn a_handshake_that_stalls_is_cut_by_the_connect_timeout() {
    let server = Server::dripping(b"");
    let transport = ReqwestTransport::new(TransportSettings {
        connect_timeout: Duration::from_millis(300),
        ..TransportSettings::default()
    });
    let request = get(&server.url.replace("http:", "https:"));
    assert_eq!(failure(&transport, &request), (TransportErrorKind::Timeout, false));
}

#[test]
fn what_does_not_speak_tls_is_a_tls_error() {
    let server = Server::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = transport().send(&get(&server.url.replace("http:", "https:"))).unwrap_err();
    assert_eq!((error.kind, error.sent), (TransportErrorKind::Tls, false));
    assert!(error.message.contains("`ca_file`"), "{error}");
}

#[test]
fn a_certificate_out_of_its_time_points_to_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    for (from, until, says) in [
        (2990, 2999, Some("clock, which is probably behind")),
        (1990, 1999, Some("clock, which may be ahead")),
        (1990, 2999, None),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        certificate.not_before = rcgen::date_time_ymd(from, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = certificate.self_signed(&key).unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, certificate.pem()).unwrap();
        let server =
            Server::start_tls(certificate.der().clone(), key.serialize_der().try_into().unwrap());
        let trusting = ReqwestTransport::new(TransportSettings {
            ca_file: Some(path),
            ..TransportSettings::default()
        });
        match (trusting.send(&get(&server)), says) {
            (Ok(answer), None) => assert_eq!(answer.status, 200),
            (Err(error), Some(says)) => {
                assert_eq!((error.kind, error.sent), (TransportErrorKind::Tls, false));
                assert!(error.message.contains(says), "{error}");
            }
            (outcome, _) => panic!("{from} {until}: {outcome:?}"),
        }
        let error = transport().send(&get(&server)).unwrap_err();
        assert!(says.is_some() || error.message.contains("`ca_file`"), "{error}");
    }
}

#[test]
fn wrong_requests_are_config_errors_without_secrets() {
    let transport = transport();
    let mut requests =
        vec![get("planted"), get("ftp://127.0.0.1/planted"), get("http:///"), get("")];
    let mut request = get("http://127.0.0.1:9/");
    request.headers.push(("X-Bad".into(), Secret::new("planted\r\nX-Other: 1")));
    requests.push(request);
    let mut request = get("http://127.0.0.1:9/");
    request.headers.push(("X Bad".into(), Secret::new("planted")));
    requests.push(request);
    let mut request = get("http://127.0.0.1:9/");
    request.method = "G ET";
    requests.push(request);
    for request in requests {
        let error = transport.send(&request).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Config, false), "{request:?}");
        assert!(!error.message.contains("planted"), "{error}");
    }
}

#[test]
fn a_bad_ca_file_is_named() {
    let directory = std::env::temp_dir();
    let bad = |name: &str, content: &[u8]| {
        let path = directory.join(format!("hoopauth-{name}-{}.pem", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path
    };
    let files = [
        directory.join("hoopauth-no-such-file.pem"),
        directory.clone(),
        bad("empty", b""),
        bad("text", b"not a certificate"),
        bad("binary", b"\xff\x00\xff"),
        bad("broken", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        bad("cut", b"-----BEGIN CERTIFICATE-----\nAAAA\n"),
    ];
    for file in files {
        let transport = ReqwestTransport::new(TransportSettings {
            ca_file: Some(file.clone()),
            ..TransportSettings::default()
        });
        let error = transport.send(&get("http://127.0.0.1:9/")).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Config, false));
        assert!(error.message.contains("`ca_file`"), "{error}");
        if file.is_file() {
            std::fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn a_bad_proxy_is_named_and_its_password_is_not() {
    for proxy in [
        "",
        "http://",
        "socks5://u:planted@h:1",
        "http://u:planted@h:99999",
        "http://u:planted@",
        "a b",
        "\"http://u:planted@h:1\"",
        "http://u:${PLANTED}@h:1",
    ] {
        let transport = through(proxy);
        let error = transport.send(&get("http://example.invalid/")).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Config, false), "{proxy}");
        assert!(error.message.contains("`proxy`") && !error.message.contains("planted"), "{error}");
        assert!(!format!("{transport:?}").contains("planted"));
    }
}

#[test]
fn a_proxy_carries_everything_but_loopback() {
    let proxy = Server::answering(OK);
    let address = proxy.url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let transport = through(&format!("user:planted@{address}"));
    assert_eq!(transport.send(&get("http://example.invalid/a")).unwrap().status, 200);
    let request = proxy.request();
    assert!(request.starts_with("GET http://example.invalid/a HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: Basic dXNlcjpwbGFudGVk\r\n"), "{request}");

    let server = Server::answering(OK);
    assert_eq!(through(&closed_port()).send(&get(&server.url)).unwrap().status, 200);

    let refusing = Server::answering(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    );
    let error =
        through(&refusing.url).send(&get("https://example.invalid/?code=planted")).unwrap_err();
    assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false), "{error}");
    assert!(!error.message.contains("planted"), "{error}");
}

#[test]
fn a_known_origin_gives_the_same_urls() {
    for origin in [
        "http://h.example",
        "HTTPS://H.example:443",
        "http://127.1:80",
        "https://[::1]:8443",
        "https://x-1",
    ] {
        let clients = Clients::of_this_process();
        clients.target(&format!("{origin}/")).unwrap();
        let first = clients.last.load_full().unwrap();
        for rest in [
            "/",
            "/?",
            "/a/b?c=d&e",
            "//evil.example/a",
            "/\\\\evil.example",
            "/a/../b/./c",
            "/%2e%2e/x",
            "/a?b?c",
            "/\u{e9}?\u{e9}",
            "/a?'",
            "/\t/evil.example",
            "/a b",
            "/a#b",
            "/a?b#c",
            "/a\r\nb",
            "",
            "?a/b",
            "#a/",
            "\\@evil.example/",
            "@evil.example/a",
            ":1/",
            "x/",
            ".evil.example/",
        ] {
            let text = format!("{origin}{rest}");
            match (clients.target(&text), Url::parse(&text)) {
                (Ok((origin, url)), Ok(whole)) => {
                    assert_eq!(url, whole, "{text:?}");
                    assert_eq!(origin.root.origin(), whole.origin(), "{text:?}");
                    assert_eq!(origin.is_loopback, is_loopback(&whole), "{text:?}");
                    assert!(origin.peer.starts_with(whole.host_str().unwrap()), "{text:?}");
                }
                (Err(_), Ok(_)) => assert!(
                    web_url::parse(&text).map_or(true, |url| web_url::has_user(&url)),
                    "{text:?}"
                ),
                (ours, whole) => assert!(ours.is_err() && whole.is_err(), "{text:?}"),
            }
            clients.last.store(Some(Arc::clone(&first)));
        }
    }
}

#[test]
fn an_origin_that_is_not_plain_to_see_is_not_kept() {
    for text in [
        "https:///h.example/a",
        "https://///h.example/a",
        "https:h.example/p?x=://y/z",
        "https:\\\\h.example/a",
    ] {
        let clients = Clients::of_this_process();
        assert!(clients.target(text).is_err(), "{text:?}");
        assert!(clients.last.load_full().is_none(), "{text:?}");
    }
    let clients = Clients::of_this_process();
    assert!(
        clients
            .target("https://me:pw@h.example/a")
            .is_err_and(|error| error.kind == TransportErrorKind::Config)
    );
}

#[test]
fn only_as_many_headers_as_the_library_sends_are_kept() {
    let clients = Clients::of_this_process();
    let pairs = |count| -> Vec<Pair> {
        (0..count).map(|n| (format!("x-{n}").into(), Secret::new("a"))).collect()
    };
    clients.headers(&pairs(5)).unwrap();
    let kept = clients.last_headers.load_full().unwrap();
    assert_eq!(clients.headers(&pairs(6)).unwrap().len(), 6);
    assert!(Arc::ptr_eq(&kept, &clients.last_headers.load_full().unwrap()));
    for wrong in ["a\nb", "\u{e9}", "\u{7f}"] {
        let pair = [("x".into(), Secret::new(wrong))];
        assert_eq!(
            clients.headers(&pair).unwrap_err().kind,
            TransportErrorKind::Config,
            "{wrong:?}"
        );
    }
}

#[test]
fn sends_and_drops_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let server = Server::answering(OK);
        let transport = transport();
        assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
        assert_eq!(failure(&transport, &get(&closed_port())), (TransportErrorKind::Network, false));
        drop(transport);
        drop(ReqwestTransport::new(TransportSettings::default()));
    });
    let server = Server::answering(OK);
    let transport = transport();
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
    runtime.block_on(async move { drop(transport) });
}

#[test]
fn clients_of_another_process_are_neither_used_nor_dropped() {
    let transport = transport();
    let server = Server::answering(OK);
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
    let inherited = as_inherited(&transport);
    let server = Server::answering(OK);
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
    assert!(inherited.upgrade().is_some());
    assert!(transport.clients.load().process.is_this());

    let inherited = as_inherited(&transport);
    drop(transport);
    assert!(inherited.upgrade().is_some());
}

#[test]
fn nothing_is_built_before_the_first_request_and_one_client_serves_all_threads() {
    let transport = transport();
    assert!(transport.clients().direct.get().is_none());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let server = Server::answering(OK);
                assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
            });
        }
    });
    assert!(transport.clients().direct.get().is_some());
    assert!(transport.clients().outside.get().is_none());
    transport.discard(&transport.clients());
    let server = Server::answering(OK);
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
    for (threads, rounds) in [(1, 50), (8, 25)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/oauth/token?q=1", listener.local_addr().unwrap());
        let (sender, closed) = mpsc::channel();
        // All of a round are open at once, so that the client keeps as many.
        let together = Arc::new(Barrier::new(threads));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, together, sender) =
                    (stream.unwrap(), Arc::clone(&together), sender.clone());
                thread::spawn(move || {
                    read_request(&mut stream);
                    together.wait();
                    stream.write_all(OK).unwrap();
                    drop(stream);
                    sender.send(()).unwrap();
                });
            }
        });
        let transport = transport();
        for _ in 0..rounds {
            thread::scope(|scope| {
                for _ in 0..threads {
                    // A POST, which nothing sends twice.
                    scope.spawn(|| {
                        assert_eq!(transport.send(&post(&url, "a=b")).unwrap().status, 200);
                    });
                }
            });
            closed.iter().take(threads).for_each(drop);
        }
    }
}

#[test]
fn who_sends_for_all_hands_over_when_its_own_answer_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came, held) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, came) = (stream.unwrap(), came.clone());
            thread::spawn(move || {
                while let Some(line) = read_request(&mut stream).lines().next() {
                    if line.contains("/hold") {
                        let (go, gone) = mpsc::channel::<()>();
                        came.send(go).unwrap();
                        let _ = gone.recv();
                    }
                    if stream.write_all(OK).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let transport = transport();
    let send = |path: &str| transport.send(&get(&format!("{url}{path}"))).unwrap().status;
    thread::scope(|scope| {
        let first = scope.spawn(|| send("/hold"));
        let first_go = held.recv().unwrap();
        // The first one waits for its answer and works for those who come after it.
        let second = scope.spawn(|| send("/hold"));
        let second_go = held.recv().unwrap();
        assert_eq!(send("/quick"), 200);
        drop(first_go);
        assert_eq!(first.join().unwrap(), 200);
        assert_eq!(send("/quick"), 200);
        drop(second_go);
        assert_eq!(second.join().unwrap(), 200);
    });
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(send("/quick"), 200)));
        }
    });
}

#[test]
fn who_waits_for_clients_that_are_discarded_is_told() {
    let (go, gone) = mpsc::channel::<()>();
    let server = Server::start(move |_| gone.recv().map_err(io::Error::other));
    let transport = transport();
    thread::scope(|scope| {
        let waits = scope.spawn(|| failure(&transport, &get(&server.url)));
        server.request();
        let clients = transport.clients();
        transport.discard(&clients);
        assert_eq!(waits.join().unwrap(), (TransportErrorKind::Network, true));
        // A late one discards no more than what it used.
        let new = transport.clients();
        transport.discard(&clients);
        assert!(Arc::ptr_eq(&new, &transport.clients()));
    });
    drop(go);
}

#[test]
fn a_thread_that_ends_may_still_send() {
    struct Last(Option<(String, mpsc::Sender<u16>)>);
    impl Drop for Last {
        fn drop(&mut self) {
            let (url, told) = self.0.take().unwrap();
            told.send(transport().send(&get(&url)).unwrap().status).unwrap();
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let (first, last) = (Server::answering(OK), Server::answering(OK));
    let (sender, told) = mpsc::channel();
    thread::spawn(move || {
        // Made before anything of tokio's, and so dropped after it.
        LAST.with(|it| *it.borrow_mut() = Some(Last(Some((last.url.clone(), sender)))));
        assert_eq!(transport().send(&get(&first.url)).unwrap().status, 200);
    })
    .join()
    .unwrap();
    assert_eq!(told.recv().unwrap(), 200);
}

/// A limit of threads counts for a whole user, and root has none: so a process of another user.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_no_thread_can_look_up_ends_its_own_request_alone() {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::unistd::{Uid, setuid};

    const ALONE: &str = "HOOPAUTH_TEST_WITHOUT_THREADS";
    if std::env::var_os(ALONE).is_none() {
        let test = thread::current().name().unwrap().to_owned();
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let status = alone.args(["--exact", &test, "--nocapture"]).env(ALONE, "1").status();
        assert!(status.unwrap().success());
        return;
    }
    let server = Server::start(|mut stream| {
        stream.write_all(OK)?;
        read_request(&mut stream);
        stream.write_all(OK)
    });
    let transport = transport();
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
    let before = transport.clients();
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(54_321)).unwrap();
    }
    setrlimit(Resource::RLIMIT_NPROC, 1, 1).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err());

    let error = transport.send(&get("http://localhost:1/")).unwrap_err();
    assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false));
    assert!(error.message.starts_with("no thread could be started to look up"), "{error}");
    assert!(Arc::ptr_eq(&before, &transport.clients()), "the clients are still in use");
    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
}

#[test]
fn debug_shows_no_secret() {
    let transport = through("http://user:planted@proxy.example:1");
    assert!(!format!("{transport:?} {:?}", get("http://h/")).contains("planted"));
}

/// Answers one connection on a thread of its own, then closes it.
struct Server {
    url: String,
    request: mpsc::Receiver<String>,
}

impl Server {
    fn answering(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::start(move |mut stream| {
            stream.write_all(&answer)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    fn dripping(head: &[u8]) -> Self {
        let head = head.to_vec();
        Self::start(move |mut stream| {
            stream.write_all(&head)?;
            loop {
                thread::sleep(Duration::from_millis(50));
                if head.is_empty() {
                    // Silent, but it notices when the other side is gone.
                    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                    let mut rest = [0];
                    return stream.read(&mut rest).map(drop);
                }
                stream.write_all(b"a")?;
            }
        })
    }

    fn start(serve: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/oauth/token?q=1", listener.local_addr().unwrap());
        let (sender, request) = mpsc::channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = sender.send(read_request(&mut stream));
            // The client may hang up first; that is what some tests want.
            let _ = serve(stream);
        });
        Self { url, request }
    }

    /// Answers any number of connections, with TLS; its URL.
    fn start_tls(
        certificate: rustls::pki_types::CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions();
        let config =
            config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
                // A client that does not trust us hangs up.
                if stream.read(&mut [0; 1_024]).is_ok() {
                    let _ = stream.write_all(OK).and_then(|()| stream.flush());
                }
            }
        });
        url
    }

    fn request(&self) -> String {
        self.request.recv().unwrap()
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut chunk = [0; 1_024];
    loop {
        let count = stream.read(&mut chunk).unwrap_or(0);
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            body.len() >= length.map_or(0, |length| length.parse().unwrap())
        });
        // A TLS greeting starts with 22 and never looks complete.
        if complete || count == 0 || read.first() == Some(&22) {
            return text;
        }
    }
}

fn transport() -> ReqwestTransport {
    ReqwestTransport::new(TransportSettings::default())
}

fn through(proxy: &str) -> ReqwestTransport {
    ReqwestTransport::new(TransportSettings {
        proxy: Some(proxy.to_owned()),
        ..TransportSettings::default()
    })
}

fn get(url: &str) -> TransportRequest {
    TransportRequest {
        method: "GET",
        url: url.to_owned(),
        headers: vec![("Authorization".into(), Secret::new("Bearer planted"))],
        body: Body::default(),
        timeout: Duration::from_secs(20),
        max_body: 1_000_000,
    }
}

fn post(url: &str, body: &str) -> TransportRequest {
    TransportRequest { method: "POST", body: Secret::new(body).into(), ..get(url) }
}

fn failure(transport: &ReqwestTransport, request: &TransportRequest) -> (TransportErrorKind, bool) {
    let error = transport.send(request).unwrap_err();
    assert!(!error.message.contains("planted") && !error.message.contains("q=1"), "{error}");
    (error.kind, error.sent)
}

/// Returns an address at which nothing listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Makes the transport's clients look like those of a parent process.
fn as_inherited(transport: &ReqwestTransport) -> std::sync::Weak<Clients> {
    let built = transport.clients();
    let direct = OnceCell::new();
    let client = built.direct.get().unwrap().client.clone();
    assert!(
        direct
            .set(Built {
                client,
                runtime: None,
                broken: Semaphore::new(0),
                roots_trouble: None,
                through: None,
            })
            .is_ok()
    );
    let inherited =
        Arc::new(Clients { process: Process::other(), direct, ..Clients::of_this_process() });
    let weak = Arc::downgrade(&inherited);
    transport.clients.store(inherited);
    weak
}

fn gzip_answer(body: &[u8], length: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// `hello`.
const HELLO_GZ: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\
    \x00\x00\x00";
/// 4096 times `a`.
const BOMB_GZ: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xac\xef\x5f\
    \xc2\x1e\x0e\x28\x00\x00\x00\xe0\xdd\x00\x73\xdc\x99\x9c\x00\x10\x00\x00";
