//! A holder of a lease that stands still but lives: nobody takes its lease away.

use std::sync::Arc;
use std::time::Duration;

use hoopauth::{Clock, ErrorCode, Grant, ManualClock, SystemClock};

use crate::common::location;
use crate::site::Site;

#[test]
fn behind_a_stopped_holder_callers_get_the_living_token_or_lease_timeout() {
    let site = Site::new();
    let account = location(0);
    // For the holder it has ended; for clients whose clock is behind it lives, and is as good as
    // ended.
    let ends = SystemClock.now();
    let behind = Arc::new(ManualClock::new(ends.minus(Duration::from_secs(86_400))));
    let living =
        site.builder().clock(behind.clone()).max_wait(Duration::from_millis(50)).build().unwrap();
    let refresh_token = site.world.grant(&account).refresh_token().unwrap().clone();
    let grant = Grant::new(account.clone(), "living")
        .with_refresh_token(refresh_token)
        .with_expires_at(ends);
    living.import(grant, false).unwrap();
    behind.advance(Duration::from_secs(86_370));

    let mut holder = site.start("hold", "Check");
    assert_eq!(holder.line(), "there");
    holder.stop();

    let impatient = site.builder().max_wait(Duration::from_millis(50)).build().unwrap();
    for _ in 0..3 {
        let headers = living.headers_for(account.as_str(), "GET").unwrap();
        assert_eq!(headers.authorization(), "Bearer living");
        let error = impatient.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (ErrorCode::LeaseTimeout, true));
    }
    assert_eq!(site.world.emulator.statistics().token_requests, 1);

    // It goes on where it stood.
    holder.wake();
    holder.go();
    assert_eq!(holder.line(), "OK");
    site.works(&impatient, &account);
    site.works(&site.client(), &account);
    assert_eq!(site.world.emulator.statistics().token_requests, 1);
}
