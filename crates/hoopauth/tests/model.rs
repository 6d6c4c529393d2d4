//! The refresh protocol against a model of the platform: random actions, faults, restarts, and
//! crashes between any two steps, by two clients that share a store, on a clock of their own. In
//! the middle of any refresh, other processes come in between: they refresh, remove, import and
//! authorize the same account. Failing cases print themselves and shrink.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod model {
    pub(crate) mod platform;
    pub(crate) mod world;
}

use std::time::Duration;

use model::platform::Fault;
use model::world::{Deed, Stop, World};
use proptest::prelude::*;

/// Actions that can happen.
#[derive(Clone, Debug)]
enum Action {
    Headers {
        client: usize,
        account: usize,
    },
    /// The API refuses what the client serves, and the host reports it.
    Refuse {
        client: usize,
        account: usize,
    },
    Pass(Duration),
    Fault(Fault),
    /// At this step of the client's next refresh something happens, mostly its end.
    Arm {
        client: usize,
        step: usize,
        stop: Stop,
    },
    Restart {
        client: usize,
    },
    Maintain {
        client: usize,
    },
    ImportSeed {
        client: usize,
        account: usize,
    },
    Authorize {
        client: usize,
        account: usize,
    },
    Remove {
        client: usize,
        account: usize,
    },
    Revoke {
        account: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (client, account) = (0..2usize, 0..3usize);
    let pass = prop_oneof![
        4 => 1u64..3_000,
        4 => 3_000u64..40_000,
        2 => 40_000u64..3_600_000,
        4 => 60_000_000u64..90_000_000,
    ];
    let fault = prop_oneof![
        3 => Just(Fault::LostAnswer),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::LostRequest),
        1 => Just(Fault::Status(500)),
        1 => Just(Fault::Status(429)),
        1 => Just(Fault::Garbage),
    ];
    let deed = prop_oneof![
        2 => Just(Deed::Headers),
        1 => Just(Deed::ImportSeed),
        2 => Just(Deed::Authorize),
        2 => Just(Deed::Remove),
        1 => Just(Deed::Revoke),
        3 => (1u64..40_000).prop_map(|millis| Deed::Pass(Duration::from_millis(millis))),
    ];
    let stop = prop_oneof![
        2 => Just(Stop::Crash),
        2 => Just(Stop::Fail),
        3 => deed.prop_map(Stop::Meanwhile),
    ];
    prop_oneof![
        10 => (client.clone(), account.clone())
            .prop_map(|(client, account)| Action::Headers { client, account }),
        2 => (client.clone(), account.clone())
            .prop_map(|(client, account)| Action::Refuse { client, account }),
        6 => pass.prop_map(|millis| Action::Pass(Duration::from_millis(millis))),
        3 => fault.prop_map(Action::Fault),
        6 => (client.clone(), 0..8usize, stop)
            .prop_map(|(client, step, stop)| Action::Arm { client, step, stop }),
        1 => client.clone().prop_map(|client| Action::Restart { client }),
        1 => client.clone().prop_map(|client| Action::Maintain { client }),
        1 => (client.clone(), account.clone())
            .prop_map(|(client, account)| Action::ImportSeed { client, account }),
        1 => (client.clone(), account.clone())
            .prop_map(|(client, account)| Action::Authorize { client, account }),
        1 => (client, account.clone())
            .prop_map(|(client, account)| Action::Remove { client, account }),
        1 => account.prop_map(|account| Action::Revoke { account }),
    ]
}

/// `PROPTEST_CASES` for more.
fn cases() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        20_000
    }
}

/// Does the actions in a world of its own, and checks it after each.
fn play(actions: &[Action]) {
    let mut world = World::new();
    for action in actions {
        match *action {
            Action::Headers { client, account } => world.headers(client, account),
            Action::Refuse { client, account } => world.refuse(client, account),
            Action::Pass(time) => world.pass(time),
            Action::Fault(fault) => world.shared.platform.add_fault(fault),
            Action::Arm { client, step, stop } => world.arm(client, step, stop),
            Action::Restart { client } => world.restart(client),
            Action::Maintain { client } => world.maintain(client),
            Action::ImportSeed { client, account } => world.import_seed(client, account),
            Action::Authorize { client, account } => world.authorize(client, account),
            Action::Remove { client, account } => world.remove(client, account),
            Action::Revoke { account } => world.revoke(account),
        }
        world.check();
    }
    world.check_the_end();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_order_of_events_loses_a_grant(actions in prop::collection::vec(action(), 1..60)) {
        play(&actions);
    }
}

/// The caller's own token ends while the call finishes what a crash left open of another account.
#[test]
fn a_token_that_ends_during_recovery_is_not_served() {
    let pass = |millis| Action::Pass(Duration::from_millis(millis));
    play(&[
        Action::Fault(Fault::LostAnswer),
        Action::Fault(Fault::LostAnswer),
        pass(12_299),
        pass(2_231),
        Action::Refuse { client: 0, account: 0 },
        Action::Fault(Fault::NotSent),
        pass(21_793),
        Action::Headers { client: 0, account: 1 },
        Action::Headers { client: 1, account: 0 },
        Action::Fault(Fault::LostAnswer),
        Action::Remove { client: 0, account: 2 },
        pass(82_954_863),
        Action::Fault(Fault::LostRequest),
        Action::Fault(Fault::LostAnswer),
        Action::Headers { client: 1, account: 0 },
        pass(3_406_814),
        Action::Arm { client: 1, step: 3, stop: Stop::Crash },
        Action::Headers { client: 1, account: 0 },
        Action::Headers { client: 0, account: 1 },
    ]);
}
