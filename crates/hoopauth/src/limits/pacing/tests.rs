use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp(1_700_049_600_000);

fn pacing(per_interval: usize) -> Pacing {
    Pacing::new(per_interval, 10_000, 1_000)
}

fn ask(window: &mut Window, pacing: &Pacing, ticket: Option<u64>, now: u64, left: u64) -> Turn {
    window.take(pacing, ticket, (NOON.plus(Duration::from_millis(now)), now), left)
}

fn later(turn: &Turn) -> (u64, u64) {
    match turn {
        Turn::Later { ticket, wait } => (*ticket, u64::try_from(wait.as_millis()).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn told(limit: u64, remaining: u64, interval: u64) -> RateLimit {
    RateLimit {
        limit: Some(limit),
        remaining: Some(remaining),
        interval: Some(Duration::from_millis(interval)),
        seen_at: NOON,
        ..RateLimit::default()
    }
}

#[test]
fn who_comes_first_goes_first() {
    let (pacing, mut window) = (pacing(2), Window::default());
    assert_eq!(ask(&mut window, &pacing, None, 1, 60_000), Turn::Now);
    assert_eq!(ask(&mut window, &pacing, None, 1_001, 60_000), Turn::Now);
    let (first, wait) = later(&ask(&mut window, &pacing, None, 2_001, 60_000));
    assert_eq!(wait, 8_200);
    let (second, wait) = later(&ask(&mut window, &pacing, None, 2_001, 60_000));
    assert_eq!(wait, 9_200);
    let (third, wait) = later(&ask(&mut window, &pacing, None, 2_001, 60_000));
    assert_eq!(wait, 18_400);
    // One who comes at the moment of the first does not get the first one's turn, nor does the
    // second.
    assert_eq!(later(&ask(&mut window, &pacing, None, 10_201, 60_000)).1, 11_200);
    assert_eq!(later(&ask(&mut window, &pacing, Some(second), 10_201, 60_000)), (second, 1_000));
    assert_eq!(ask(&mut window, &pacing, Some(first), 10_201, 60_000), Turn::Now);
    // The second one overslept: whoever comes after it waits from when it was sent.
    assert_eq!(ask(&mut window, &pacing, Some(second), 15_000, 60_000), Turn::Now);
    assert_eq!(ask(&mut window, &pacing, Some(third), 20_401, 60_000), Turn::Now);
    assert_eq!(later(&ask(&mut window, &pacing, Some(4), 21_401, 60_000)), (4, 3_799));
}

#[test]
fn what_did_not_wait_is_counted_as_well() {
    let (pacing, mut window) = (pacing(2), Window::default());
    for now in [1, 2, 3] {
        window.count(&pacing, (NOON, now));
    }
    assert_eq!(later(&ask(&mut window, &pacing, None, 4, 60_000)).1, 10_198);
    window.count(&pacing, (NOON.plus(Duration::from_secs(86_400)), 86_400_000));
    assert_eq!(window.day.1, 1);
}

#[test]
fn who_can_not_wait_takes_no_place() {
    let (pacing, mut window) = (pacing(1), Window::default());
    assert_eq!(ask(&mut window, &pacing, None, 1, 0), Turn::Now);
    let too_late =
        Turn::TooLate { limit: Exhausted::Interval, wait: Duration::from_millis(10_200) };
    for _ in 0..3 {
        assert_eq!(ask(&mut window, &pacing, None, 1, 10_200), too_late);
    }
    let (ticket, wait) = later(&ask(&mut window, &pacing, None, 1, 10_201));
    assert_eq!(wait, 10_200);
    // The platform holds all back meanwhile: the place is given up.
    window.note(&pacing, None, Some(Duration::from_secs(60)), 1);
    assert!(matches!(ask(&mut window, &pacing, Some(ticket), 10_201, 1), Turn::TooLate { .. }));
    assert!(!window.is_waited_for());
    assert_eq!(ask(&mut window, &pacing, None, 60_001, 1), Turn::Now);
}

#[test]
fn what_others_use_is_not_ours() {
    let (pacing, mut window) = (pacing(10), Window::default());
    assert_eq!(ask(&mut window, &pacing, None, 1, 60_000), Turn::Now);
    // One is ours, seven are others': two more fit.
    window.note(&pacing, Some(&told(10, 2, 10_000)), None, 1);
    assert_eq!(ask(&mut window, &pacing, None, 1, 60_000), Turn::Now);
    assert_eq!(ask(&mut window, &pacing, None, 1, 60_000), Turn::Now);
    let (ticket, wait) = later(&ask(&mut window, &pacing, None, 1, 60_000));
    assert_eq!(wait, 10_200);
    // The others are gone: no reason to wait.
    window.note(&pacing, Some(&told(10, 7, 10_000)), None, 5_000);
    assert_eq!(ask(&mut window, &pacing, Some(ticket), 5_000, 60_000), Turn::Now);
    // They take all there is: nothing goes until their interval must be over.
    window.note(&pacing, Some(&told(10, 0, 10_000)), None, 20_000);
    assert_eq!(later(&ask(&mut window, &pacing, None, 20_000, 60_000)).1, 10_200);
}

#[test]
fn alone_the_platforms_count_changes_nothing() {
    let (pacing, mut window) = (pacing(10), Window::default());
    for number in 0..10 {
        assert_eq!(ask(&mut window, &pacing, None, 1 + number * 1_000, 60_000), Turn::Now);
        window.note(&pacing, Some(&told(10, 9 - number, 10_000)), None, 1 + number * 1_000);
    }
    assert_eq!(later(&ask(&mut window, &pacing, None, 9_001, 60_000)).1, 1_200);
}

#[test]
fn another_interval_counts_when_it_is_used_up() {
    let (pacing, mut window) = (pacing(10), Window::default());
    window.note(&pacing, Some(&told(100, 1, 60_000)), None, 1);
    assert_eq!(ask(&mut window, &pacing, None, 1, 1), Turn::Now);
    window.note(&pacing, Some(&told(100, 0, 60_000)), None, 1);
    assert_eq!(later(&ask(&mut window, &pacing, None, 1, 90_000)).1, 60_000);
    // A smaller limit than ours is kept.
    let mut window = Window::default();
    window.note(&pacing, Some(&told(1, 1, 10_000)), None, 1);
    assert_eq!(ask(&mut window, &pacing, None, 1, 1), Turn::Now);
    assert_eq!(later(&ask(&mut window, &pacing, None, 1, 90_000)).1, 10_200);
}

#[test]
fn a_spent_day_is_told_at_once() {
    let pacing = Pacing::new(100, 10_000, 2);
    let mut window = Window::default();
    let ask =
        |window: &mut Window, wall: Timestamp| window.take(&pacing, None, (wall, 1), u64::MAX);
    assert_eq!(ask(&mut window, NOON), Turn::Now);
    assert_eq!(ask(&mut window, NOON), Turn::Now);
    let half_a_day = Duration::from_secs(12 * 3_600);
    assert_eq!(ask(&mut window, NOON), Turn::TooLate { limit: Exhausted::Day, wait: half_a_day });
    assert_eq!(ask(&mut window, NOON.plus(half_a_day)), Turn::Now);

    let mut window = Window::default();
    let spent = |remaining| RateLimit {
        daily_remaining: Some(remaining),
        daily_reset: Some(NOON.plus(Duration::from_secs(5))),
        seen_at: NOON,
        ..RateLimit::default()
    };
    window.note(&pacing, Some(&spent(0)), None, 1);
    assert_eq!(
        ask(&mut window, NOON),
        Turn::TooLate { limit: Exhausted::Day, wait: Duration::from_secs(5) }
    );
    assert_eq!(ask(&mut window, NOON.plus(Duration::from_secs(5))), Turn::Now);
    window.note(&pacing, Some(&spent(0)), None, 1);
    window.note(&pacing, Some(&spent(1)), None, 1);
    assert_eq!(ask(&mut window, NOON), Turn::Now);
}

#[test]
fn no_answer_stops_an_account_for_longer_than_a_day() {
    let (pacing, mut window) = (pacing(10), Window::default());
    window.note(&pacing, None, Some(Duration::from_secs(1_700_000_000)), 1);
    assert_eq!(later(&ask(&mut window, &pacing, None, 1, u64::MAX)).1, 86_400_000);

    let mut window = Window::default();
    let ask =
        |window: &mut Window, wall: Timestamp| window.take(&pacing, None, (wall, 1), u64::MAX);
    let spent = RateLimit { daily_remaining: Some(0), seen_at: NOON, ..RateLimit::default() };
    window.note(&pacing, Some(&spent), None, 1);
    assert!(matches!(ask(&mut window, NOON), Turn::TooLate { limit: Exhausted::Day, .. }));
    let set_back = NOON.minus(Duration::from_secs(14 * 86_400));
    assert_eq!(ask(&mut window, set_back), Turn::Now);
}

proptest! {
    /// Callers come, wait, oversleep and give up in any order.
    #[test]
    fn no_span_holds_more_than_the_limit(
        limit in 1usize..6,
        steps in prop::collection::vec((0u64..4_000, any::<bool>(), 0u64..40_000), 1..200),
    ) {
        let pacing = pacing(limit);
        let mut window = Window::default();
        let mut tickets: Vec<u64> = Vec::new();
        let mut sent: Vec<u64> = Vec::new();
        let mut now = 1;
        for (step, again, left) in steps {
            now += step;
            let ticket = if again && !tickets.is_empty() { Some(tickets.remove(0)) } else { None };
            match ask(&mut window, &pacing, ticket, now, left) {
                Turn::Now => sent.push(now),
                Turn::Later { ticket: mine, .. } => {
                    if ticket.is_some() { tickets.insert(0, mine) } else { tickets.push(mine) }
                }
                Turn::TooLate { .. } => {}
            }
            prop_assert_eq!(window.waiting.len(), tickets.len());
        }
        for some in sent.windows(limit + 1) {
            prop_assert!(some[limit] - some[0] >= pacing.span);
        }
    }
}
