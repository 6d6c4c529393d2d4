//! The platform as the facts tell: single-use refresh tokens, the same answer again for 30 seconds,
//! tokens of a day.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hoopauth::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use hoopauth::{Clock, ManualClock};

pub(crate) const WINDOW: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The rotation happens, its answer is lost.
    LostAnswer,
    /// Nothing arrives, and the sender knows.
    NotSent,
    /// Nothing arrives, and the sender can't know.
    LostRequest,
    /// Refused before anything happened.
    Status(u16),
    /// The rotation happens, its answer is garbage.
    Garbage,
}

#[derive(Debug, Default)]
struct Family {
    current: String,
    access: String,
    /// Moment at which that pair was made.
    made_at: u64,
    spent: HashMap<String, Spent>,
    revoked: bool,
    count: u32,
}

#[derive(Debug)]
struct Spent {
    at: u64,
    successor: String,
}

/// A token request as the platform saw it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: u64,
    pub(crate) account: usize,
    pub(crate) token: String,
    /// The token had been spent longer ago than the window.
    pub(crate) too_late: bool,
}

#[derive(Debug, Default)]
struct State {
    families: Vec<Family>,
    faults: VecDeque<Fault>,
    sent: Vec<Sent>,
    expiries: HashMap<String, u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Platform {
    clock: Arc<ManualClock>,
    state: Arc<Mutex<State>>,
}

impl Platform {
    pub(crate) fn new(clock: Arc<ManualClock>, accounts: usize) -> Self {
        let mut state = State::default();
        state.families.resize_with(accounts, Family::default);
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// The user authorizes: a new pair; the old ones end.
    pub(crate) fn authorize(&self, account: usize) -> (String, String) {
        let mut state = self.state();
        let count = state.families[account].count;
        state.families[account] = Family { count, ..Family::default() };
        self.rotate(&mut state, account)
    }

    pub(crate) fn revoke(&self, account: usize) {
        self.state().families[account].revoked = true;
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    pub(crate) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// Returns `true` if the token has not ended by the clock.
    pub(crate) fn lives(&self, access: &str) -> bool {
        self.state().expiries.get(access).is_some_and(|end| *end > self.clock.monotonic())
    }

    /// The refresh token that is not spent.
    pub(crate) fn current(&self, account: usize) -> String {
        self.state().families[account].current.clone()
    }

    /// Moment at which the unspent refresh token was given out.
    pub(crate) fn rotated_at(&self, account: usize) -> u64 {
        self.state().families[account].made_at
    }

    pub(crate) fn is_current(&self, account: usize, access: &str) -> bool {
        let state = self.state();
        !state.families[account].revoked && state.families[account].access == access
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn rotate(&self, state: &mut State, account: usize) -> (String, String) {
        let now = self.clock.monotonic();
        let family = &mut state.families[account];
        family.count += 1;
        family.made_at = now;
        let refresh = format!("refresh-{account}-{}", family.count);
        let before = std::mem::replace(&mut family.current, refresh.clone());
        if !before.is_empty() {
            family.spent.insert(before, Spent { at: now, successor: refresh.clone() });
        }
        family.access = format!("access-{account}-{}", family.count);
        let access = family.access.clone();
        let life = u64::try_from(LIFE.as_millis()).unwrap();
        state.expiries.insert(access.clone(), now + life);
        (access, refresh)
    }

    /// RFC 6749 §6, with the platform's window for a token that was just spent.
    fn refresh(&self, state: &mut State, account: usize, token: &str) -> TransportResponse {
        let now = self.clock.monotonic();
        let family = &state.families[account];
        let late = |spent: &Spent| Duration::from_millis(now - spent.at) > WINDOW;
        let too_late = family.spent.get(token).is_some_and(late);
        state.sent.push(Sent { at: now, account, token: token.to_owned(), too_late });
        let family = &state.families[account];
        let again = family
            .spent
            .get(token)
            .is_some_and(|spent| !late(spent) && spent.successor == family.current);
        if family.revoked || !(again || family.current == token) {
            let body =
                br#"{"error":"invalid_grant","error_description":"This refresh token is invalid"}"#;
            return TransportResponse { status: 400, headers: vec![].into(), body: body.to_vec() };
        }
        let (access, refresh) = if again {
            (family.access.clone(), family.current.clone())
        } else {
            self.rotate(state, account)
        };
        let left = state.expiries[&access].saturating_sub(now) / 1000;
        let body = serde_json::json!({
            "access_token": access, "refresh_token": refresh, "expires_in": left,
            "token_type": "Bearer",
            "userType": "Location", "locationId": super::world::id(account), "companyId": "company",
        });
        TransportResponse {
            status: 200,
            headers: vec![].into(),
            body: body.to_string().into_bytes(),
        }
    }
}

impl Transport for Platform {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        let token = &form["refresh_token"];
        let account: usize = token.split('-').nth(1).unwrap().parse().unwrap();
        let lost = |sent| TransportError {
            kind: TransportErrorKind::Network,
            message: "lost".into(),
            sent,
        };
        let mut state = self.state();
        match state.faults.pop_front() {
            None => Ok(self.refresh(&mut state, account, token)),
            Some(Fault::NotSent) => Err(lost(false)),
            Some(Fault::LostRequest) => Err(lost(true)),
            Some(Fault::Status(status)) => {
                Ok(TransportResponse { status, headers: vec![].into(), body: b"{}".to_vec() })
            }
            Some(Fault::LostAnswer) => {
                self.refresh(&mut state, account, token);
                Err(lost(true))
            }
            Some(Fault::Garbage) => {
                self.refresh(&mut state, account, token);
                Ok(TransportResponse {
                    status: 200,
                    headers: vec![].into(),
                    body: b"<html>".to_vec(),
                })
            }
        }
    }
}
