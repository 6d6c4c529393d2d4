//! The roles of the child processes: this test binary started again, with a role.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::{Account, Client, ClientBuilder, Error};
use nix::sys::signal::{Signal, raise};
use nix::unistd::{ForkResult, fork, pause};

use crate::common::location;

pub(crate) const ROLE: &str = "HOOPAUTH_TEST_ROLE";
pub(crate) const ARGUMENT: &str = "HOOPAUTH_TEST_ARGUMENT";

/// Not a test: where child processes begin. Without a role there is nothing to do.
#[test]
fn entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let argument = std::env::var(ARGUMENT).unwrap_or_default();
    match role.as_str() {
        "storm" => storm(&argument),
        "storm behind a holder" => storm_behind_a_holder(&argument),
        "park" => park(&argument),
        "spend" => spend(),
        "hold" => hold(&argument),
        "doomed" => doomed(&argument),
        "fork midway" => fork_midway(),
        "fork and go on" => fork_and_go_on(),
        "import until full" => import_until_full(),
        "refresh" => say_what_comes_of(&client().headers_for(location(0).as_str(), "GET")),
        "read" => read(),
        "watch" => watch(),
        "use the default store" => use_the_default_store(),
        "use a static token" => use_a_static_token(),
        "make a client" => make_a_client(),
        other => crate::play(other, &argument),
    }
    std::process::exit(0);
}

pub(crate) fn builder() -> ClientBuilder {
    Client::builder().environment()
}

pub(crate) fn step_named(name: &str) -> Option<Step> {
    Step::ALL.into_iter().find(|step| format!("{step:?}") == name)
}

fn client() -> Client {
    builder().build().unwrap()
}

pub(crate) fn say(text: &str) {
    println!("@{text}");
    std::io::stdout().flush().unwrap();
}

fn wait_for_go() {
    say("ready");
    wait_for_a_line();
}

pub(crate) fn wait_for_a_line() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// `OK`, or the error's name.
pub(crate) fn outcome<T>(result: &hoopauth::Result<T>) -> &'static str {
    result.as_ref().err().map_or("OK", |error| error.code().name())
}

/// Says `OK`, or the error's name and message.
pub(crate) fn say_what_comes_of<T>(result: &hoopauth::Result<T>) {
    let message = result.as_ref().err().map_or("", |error| error.message());
    say(format!("{} {message}", outcome(result)).trim_end());
}

/// Threads that all want the same headers at once.
fn storm(threads: &str) {
    let threads = threads.parse().unwrap();
    let client = client();
    wait_for_go();
    say(&all_at_once(&client, threads, &AtomicUsize::new(0)).to_string());
}

/// After the first call, for another account, a refresh that is open is to be finished. That fails,
/// for its holder lives, but not before all callers had time to wait for how it ends. Says when one
/// comes to wait for the lease.
fn storm_behind_a_holder(threads: &str) {
    let others = threads.parse::<usize>().unwrap();
    let (begun, flights) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let (open, gate) = std::sync::mpsc::channel();
    let seen = Arc::clone(&begun);
    let hook = move |at, account: &Account| {
        if at == Step::Lease && *account == location(0) {
            match flights.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    open.send(()).unwrap();
                    while seen.load(Ordering::SeqCst) < others {
                        std::thread::yield_now();
                    }
                    (0..1_000).for_each(|_| std::thread::yield_now());
                }
                1 => say("waits"),
                _ => {}
            }
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.headers_for(location(1).as_str(), "GET"));
        gate.recv().unwrap();
        let failures = all_at_once(&client, others, &begun);
        say(&format!("{} {failures}", outcome(&first.join().unwrap())));
    });
}

/// Asks for the same headers in many threads; how many didn't get them.
fn all_at_once(client: &Client, threads: usize, begun: &AtomicUsize) -> usize {
    let (barrier, failures) = (Barrier::new(threads), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                begun.fetch_add(1, Ordering::SeqCst);
                if let Err(error) = client.headers_for(location(0).as_str(), "GET") {
                    eprintln!("{error:?}");
                    failures.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    failures.into_inner()
}

/// Refreshes and stops at a step for ever.
fn park(step: &str) {
    let step = step_named(step).unwrap();
    let hook = move |at, _: &_| {
        if at == step {
            say("there");
            loop {
                pause();
            }
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    let _ = client.headers_for(location(0).as_str(), "GET");
    panic!("the refresh ended");
}

/// Refreshes, stands still at a step until it may go on, and says how the refresh ended.
fn hold(step: &str) {
    let step = step_named(step).unwrap();
    let held = AtomicBool::new(false);
    let hook = move |at, _: &_| {
        if at == step && !held.swap(true, Ordering::SeqCst) {
            say("there");
            wait_for_a_line();
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    say(outcome(&client.headers_for(location(0).as_str(), "GET")));
}

/// Asks for the headers of every account there is; says how many it got, and the error of the
/// others.
fn spend() {
    let client = client();
    let accounts = client.accounts().unwrap();
    wait_for_go();
    let results: Vec<_> =
        accounts.iter().map(|account| client.headers_for(account.as_str(), "GET")).collect();
    let codes: Vec<_> =
        results.iter().filter_map(|result| result.as_ref().err()).map(Error::code).collect();
    say(&format!(
        "{} {}",
        results.len() - codes.len(),
        codes.iter().map(|code| code.name()).collect::<Vec<_>>().join(" ")
    ));
}

/// Serves all accounts until it dies: when it comes to a named point for the nth time (`Send 2 7`),
/// or after some milliseconds, wherever it is then (`Moment 350 7`). It begins with the account of
/// that last number: those who die soon must not all begin with the same, or nobody comes to the
/// others while the platform's window is open.
fn doomed(argument: &str) {
    let words: Vec<&str> = argument.split(' ').collect();
    let [point, number, first] = words[..] else { panic!("{argument}") };
    let number = number.parse().unwrap();
    let step = step_named(point);
    if step.is_none() {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(number));
            raise(Signal::SIGKILL).unwrap();
        });
    }
    let passed = AtomicU64::new(0);
    let hook = move |at, _: &_| {
        if Some(at) == step && passed.fetch_add(1, Ordering::SeqCst) == number {
            raise(Signal::SIGKILL).unwrap();
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    let mut accounts = client.accounts().unwrap();
    let first = first.parse::<usize>().unwrap() % accounts.len();
    accounts.rotate_left(first);
    loop {
        for account in &accounts {
            if let Err(error) = client.headers_for(account.as_str(), "GET")
                && !error.is_retryable()
            {
                eprintln!("{account}: {error:?}");
                std::process::exit(3);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Forks in the middle of a refresh; both sides then stand still.
fn fork_midway() {
    let hook = |at, _: &_| {
        if at == Step::Send {
            // SAFETY: the child calls nothing but `pause`.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {}
                ForkResult::Parent { child } => say(&child.to_string()),
            }
            loop {
                pause();
            }
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    let _ = client.headers_for(location(0).as_str(), "GET");
    panic!("the refresh ended");
}

/// Forks with the store open: the child leaves what it inherited alone and makes its own, and both
/// go on.
fn fork_and_go_on() {
    let before = client();
    before.headers_for(location(0).as_str(), "GET").unwrap();
    // SAFETY: no other thread of ours runs; the harness's one waits. glibc keeps its allocator
    // usable in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // Fresh headers are memory and nothing else; all that would use what was inherited is
            // refused.
            before.headers_for(location(0).as_str(), "GET").unwrap();
            let error = before.headers_for(location(1).as_str(), "GET").unwrap_err();
            assert_eq!(error.code(), hoopauth::ErrorCode::InvalidState);
            assert_eq!(before.accounts().unwrap_err().code(), hoopauth::ErrorCode::InvalidState);
            let own = client();
            own.headers_for(location(1).as_str(), "GET").unwrap();
            drop(before);
            say("refreshed");
            // Until the parent is gone: then the child alone holds the store.
            wait_for_a_line();
            own.headers_for(location(2).as_str(), "GET").unwrap();
            say("alone");
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            say(&child.to_string());
            // The parent goes on while the child does.
            for _ in 0..20 {
                let grant = before.export(&location(0)).unwrap();
                before.import(grant.with_scopes(["again"]), true).unwrap();
            }
            say("parent done");
            pause();
        }
    }
}

fn import_until_full() {
    let client = client();
    let token = "x".repeat(4000);
    for number in 0..100_000 {
        let account = Account::location(&format!("n{number}")).unwrap();
        let grant =
            hoopauth::Grant::new(account, token.clone()).with_refresh_token(format!("r{number}"));
        if let Err(error) = client.import(grant, false) {
            say(&format!("{number} {} {}", error.code().name(), error.message()));
            // What was stored before is still there for this process too.
            client.export(&Account::location("n0").unwrap()).unwrap();
            return;
        }
    }
    panic!("it never got full");
}

fn read() {
    say_what_comes_of(&client().export(&location(0)));
}

/// Says each token of an account that it is served, by name and by handle, until there is none.
fn watch() {
    let client = client();
    let handle = client.account(location(0).as_str()).unwrap();
    let mut served = String::new();
    for _ in 0..12_000 {
        let by_handle = handle.headers("GET");
        match client.headers_for(location(0).as_str(), "GET").and(by_handle) {
            Ok(headers) if headers.authorization() == served => {}
            Ok(headers) => {
                headers.authorization().clone_into(&mut served);
                say(&served);
            }
            Err(error) => return say(error.code().name()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    say("nothing changed");
}

fn use_a_static_token() {
    let tokens =
        [Client::builder().private_integration_token("pit-1"), Client::builder().access_token("a")];
    for builder in tokens {
        let client = builder.build().unwrap();
        client.headers("GET").unwrap();
        client.accounts().unwrap();
        client.close().unwrap();
    }
    say("done");
}

fn make_a_client() {
    match builder().build() {
        Ok(_) => say("done"),
        Err(error) => say(&format!("{} {}", error.code().name(), error.message())),
    }
}

fn use_the_default_store() {
    wait_for_go();
    let client = client();
    let account = location(0);
    match client.import(hoopauth::Grant::new(account.clone(), "planted-access"), false) {
        Ok(_) => say(client.export(&account).unwrap().access_token().expose()),
        Err(error) => say(&format!("{} {}", error.code().name(), error.message())),
    }
}
