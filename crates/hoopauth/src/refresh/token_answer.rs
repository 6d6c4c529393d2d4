//! What a token answer holds, and the grant it becomes.
//!
//! The refresh token or the code that asked for an answer is spent when it comes. So a usable
//! access token is enough: each other member is taken if it can be read, and the stored value stays
//! where it can't.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::{Zeroize, Zeroizing};

use crate::account::{Account, AccountKind};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Grant, check_token, issued_at, plausible, within_second};
use crate::members::{Members, number, text, texts};
use crate::secret::Secret;

/// A token answer as it came: nothing is believed yet.
pub(crate) struct TokenAnswer {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) lifetime: Duration,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) user_type: Option<AccountKind>,
    pub(crate) company_id: Option<String>,
    pub(crate) location_id: Option<String>,
    pub(crate) user_id: Option<String>,
    /// `false` if it broke off: a member that is missing may have stood in the lost part.
    pub(crate) is_whole: bool,
    /// The `Date` of the answer: the platform's clock, in full seconds.
    date: Option<Timestamp>,
}

impl TokenAnswer {
    /// Adds the answer's `Date` header; one that can't be read is none.
    pub(crate) fn dated(mut self, header: Option<&str>) -> Self {
        let date = header.and_then(|text| httpdate::parse_http_date(text.trim_ascii()).ok());
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        self.date = since.and_then(|since| plausible(since.as_secs_f64()));
        self
    }

    /// Reads an answer. Each member may come in either casing (`access_token`, `accessToken`), in
    /// both, or several times: what can be used of it counts. The object may stand one level deep
    /// in another one or in a list.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let replaced;
        let body = if let Ok(text) = std::str::from_utf8(body) {
            text
        } else {
            replaced = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
            &replaced
        };
        let members = Members::read(body);
        let has_token = |members: &Members<'_>| members.find(ACCESS_TOKEN, token).is_some();
        let members =
            if has_token(&members) { Some(members) } else { members.nested().find(has_token) };
        let unusable = || {
            Error::malformed(
                "the token endpoint's answer holds no access token that can be used: check `token_url`, and whether a proxy, \
                 a firewall or a login page on the way answers in its place",
            )
        };
        let members = members.ok_or_else(unusable)?;
        let access_token = members.find(ACCESS_TOKEN, token).ok_or_else(unusable)?;
        take(&members, TOKEN_TYPE, bearer);
        Ok(Self {
            access_token,
            refresh_token: take(&members, REFRESH_TOKEN, token),
            lifetime: take(&members, EXPIRES_IN, lifetime).unwrap_or(DOCUMENTED),
            scopes: take(&members, SCOPE, scopes),
            user_type: take(&members, USER_TYPE, user_type),
            company_id: take(&members, COMPANY_ID, id),
            location_id: take(&members, LOCATION_ID, id),
            user_id: take(&members, USER_ID, id),
            is_whole: members.is_whole(),
            date: None,
        })
    }

    /// The account that this answer names, by its class. Where it names none, the class is the one
    /// that was `asked` for, or the one whose id is there: a location's answer holds its company's
    /// id, too, but not the reverse.
    pub(crate) fn account(&self, asked: Option<AccountKind>) -> Result<Account> {
        let told = self.location_id.as_ref().map(|_| AccountKind::Location);
        let told = told.or(self.company_id.as_ref().map(|_| AccountKind::Company));
        let asked = asked.filter(|kind| self.id(*kind).is_some());
        let kind = self.user_type.or(asked).or(told).ok_or_else(|| {
            Error::malformed(
                "the token endpoint's answer does not say whose token it is, so nothing was stored: send the user through \
                 authorization again",
            )
        })?;
        let id = self.id(kind).ok_or_else(|| {
            Error::malformed(format!(
                "the token endpoint's answer is of class {kind} but holds no id of one, so nothing was stored: send the user \
                 through authorization again"
            ))
        })?;
        match kind {
            AccountKind::Location => Account::location(id),
            AccountKind::Company => Account::company(id),
        }
    }

    /// Refuses an answer that speaks for someone else than `account`. What an answer leaves out
    /// contradicts nothing.
    pub(crate) fn check(&self, account: &Account) -> Result<()> {
        if let Some(kind) = self.user_type
            && kind != account.kind()
        {
            return Err(Error::new(
                ErrorCode::WrongTokenClass,
                format!(
                    "the platform gave a {kind} token where a {} token was asked for",
                    account.kind()
                ),
            )
            .with_account(account));
        }
        if self.id(account.kind()).is_some_and(|id| id != account.id()) {
            return Err(Error::new(
                ErrorCode::WrongAccount,
                "the platform gave a token of another account than the one that was asked for",
            )
            .with_account(account));
        }
        Ok(())
    }

    /// Makes the grant that follows `before` (none for a new authorization). Its life is counted
    /// from when it was asked for: how long the answer travelled nobody knows.
    pub(crate) fn into_grant(
        self,
        account: &Account,
        before: Option<&Grant>,
        asked: Timestamp,
        minted: bool,
    ) -> Grant {
        let known = before.and_then(|grant| grant.refresh_token.clone());
        if self.refresh_token.is_none() && known.is_some() && !minted {
            tracing::warn!(
                %account,
                "the token endpoint's answer holds no refresh token that can be used; the stored one is kept, and is used when \
                 the access token ends"
            );
        }
        let platform_authorized_at = if let Some(grant) = before {
            grant.platform_date()
        } else {
            // The later one, if they differ: an authorization that counts as too old is lost to a
            // late UNINSTALL.
            let told = self.date.max(issued_at(self.access_token.expose()));
            told.map(|told| within_second(told, asked))
        };
        Grant {
            account: account.clone(),
            platform_authorized_at,
            access_token: self.access_token,
            // RFC 6749 §6: where no new refresh token comes, the old one goes on.
            refresh_token: self.refresh_token.or(known),
            obtained_at: asked,
            expires_at: asked.plus(self.lifetime),
            authorized_at: before.map_or(asked, |grant| grant.authorized_at),
            scopes: self
                .scopes
                .or_else(|| before.map(|grant| grant.scopes.clone()))
                .unwrap_or_default(),
            company_id: self
                .company_id
                .or_else(|| before.and_then(|grant| grant.company_id.clone())),
            user_id: self.user_id.or_else(|| before.and_then(|grant| grant.user_id.clone())),
            minted,
        }
    }

    /// Makes the grant that holds an answer which speaks for someone else than its account. Its
    /// refresh token replaces the spent one, and the next refresh shows whom it speaks for. Its
    /// access token counts as ended, so nobody is served with it; one that still lives (`serves`)
    /// goes on in its place.
    pub(crate) fn into_held(self, before: &Grant, asked: Timestamp, serves: bool) -> Grant {
        let mut held = before.clone();
        if let Some(token) = self.refresh_token {
            held.refresh_token = Some(token);
        }
        if !serves {
            held.access_token = self.access_token;
            held.obtained_at = asked;
            held.expires_at = asked;
        }
        held
    }

    /// As [`check`](Self::check), where nothing is stored yet; `next` tells what to do.
    pub(crate) fn check_new(&self, account: &Account, next: &str) -> Result<()> {
        self.check(account).map_err(|error| {
            let message = format!("{}, so nothing was stored: {next}", error.message());
            Error::new(error.code(), message).with_account(account)
        })
    }

    fn id(&self, kind: AccountKind) -> Option<&str> {
        match kind {
            AccountKind::Location => self.location_id.as_deref(),
            AccountKind::Company => self.company_id.as_deref(),
        }
    }
}

/// Takes a member if it can be read, and logs that it can't.
fn take<'a, T>(
    members: &Members<'a>,
    names: [&'static str; 2],
    read: impl Fn(&'a str) -> Option<T>,
) -> Option<T> {
    let found = members.find(names, read);
    if found.is_none() && members.says(names) {
        tracing::warn!(
            member = names[0],
            "a member of the token endpoint's answer is not of the documented form and is left out"
        );
    }
    found
}

/// Reads a token that fits into a header and a form.
fn token(value: &str) -> Option<Secret> {
    let token = match text(value)? {
        Cow::Borrowed(token) => Secret::new(token),
        Cow::Owned(mut token) => {
            let secret = Secret::new(token.as_str());
            token.zeroize();
            secret
        }
    };
    check_token("token", token.expose()).is_ok().then_some(token)
}

fn id(value: &str) -> Option<String> {
    let id = text(value)?;
    Account::location(&id).is_ok().then(|| id.into_owned())
}

fn user_type(value: &str) -> Option<AccountKind> {
    AccountKind::from_user_type(&text(value)?)
}

fn bearer(value: &str) -> Option<()> {
    text(value)?.eq_ignore_ascii_case("bearer").then_some(())
}

/// Reads scopes, separated by white space or commas, or as a list. None at all is no answer: RFC
/// 6749 has no empty scope.
fn scopes(value: &str) -> Option<Vec<String>> {
    let separates = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    let texts = texts(value);
    let scopes = texts.iter().flat_map(|text| text.split(separates));
    let scopes: Vec<_> = scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    (!scopes.is_empty()).then_some(scopes)
}

/// Reads how long a token is taken to live: seconds as a number or a numeric text, fractions cut.
///
/// Zero or negative: one minute, so that the pair is kept and no endpoint is asked more than once a
/// minute for it. Longer than ten years can't be meant.
fn lifetime(value: &str) -> Option<Duration> {
    match number(value)? {
        seconds if seconds < 1.0 => Some(SHORTEST),
        seconds if seconds <= TEN_YEARS => Duration::try_from_secs_f64(seconds.floor()).ok(),
        _ => None,
    }
}

const ACCESS_TOKEN: [&str; 2] = ["access_token", "accessToken"];
const REFRESH_TOKEN: [&str; 2] = ["refresh_token", "refreshToken"];
const TOKEN_TYPE: [&str; 2] = ["token_type", "tokenType"];
const EXPIRES_IN: [&str; 2] = ["expires_in", "expiresIn"];
const SCOPE: [&str; 2] = ["scope", "scopes"];
const USER_TYPE: [&str; 2] = ["userType", "user_type"];
const COMPANY_ID: [&str; 2] = ["companyId", "company_id"];
const LOCATION_ID: [&str; 2] = ["locationId", "location_id"];
const USER_ID: [&str; 2] = ["userId", "user_id"];

/// What the platform documents, for an answer that says nothing of it: an earlier end shows as a
/// 401, which refreshes.
const DOCUMENTED: Duration = Duration::from_secs(86_399);
const SHORTEST: Duration = Duration::from_secs(60);
const TEN_YEARS: f64 = 10.0 * 366.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(json: &str) -> Result<TokenAnswer> {
        TokenAnswer::parse(json.as_bytes())
    }

    const GOOD: &str = r#"{"access_token":"at","refresh_token":"rt","expires_in":3600,"token_type":"Bearer","scope":"x y","userType":"Location","locationId":"l","companyId":"c","userId":"u"}"#;

    /// Everything of [`GOOD`].
    fn is_good(answer: &TokenAnswer) {
        assert_eq!(answer.access_token.expose(), "at");
        assert_eq!(answer.refresh_token.as_ref().unwrap().expose(), "rt");
        assert_eq!(answer.lifetime, Duration::from_secs(3600));
        assert_eq!(answer.scopes.as_deref().unwrap(), ["x", "y"]);
        assert_eq!(answer.account(None).unwrap().as_str(), "location:l");
        assert_eq!(
            (answer.company_id.as_deref(), answer.user_id.as_deref()),
            (Some("c"), Some("u"))
        );
    }

    #[test]
    fn each_member_is_taken_in_either_casing() {
        let camel = r#"{"accessToken":"at","refreshToken":"rt","expiresIn":"3600","tokenType":"bearer","scope":["x","y"],"user_type":"location","location_id":"l","company_id":"c","user_id":"u"}"#;
        let mixed = r#"{"access_token":"at","refreshToken":"rt","expires_in":[3600.9],"scopes":"x,y","userType":["Location"],"locationId":["l"],"companyId":"c","userId":" u "}"#;
        let end = &camel[1..];
        let both = format!("{},{end}", &GOOD[..GOOD.len() - 1]);
        for json in [GOOD, camel, mixed, &both] {
            is_good(&parse(json).unwrap());
        }
    }

    #[test]
    fn an_odd_frame_costs_nothing() {
        let deep =
            format!(r#"{{"deep":{}{},{}"#, "[".repeat(10_000), "]".repeat(10_000), &GOOD[1..]);
        for json in [
            format!("\u{feff}{GOOD}"),
            format!("  \r\n{GOOD}\n\n"),
            format!("{GOOD} trailing"),
            format!("{GOOD}{GOOD}"),
            GOOD[..GOOD.len() - 1].to_owned(),
            format!("[{GOOD}]"),
            format!(r#"{{"data":{GOOD},"status":"ok"}}"#),
            format!(r#"{{"huge":1e999,"half":"\ud83d","\ud83d":1,{}"#, &GOOD[1..]),
            deep,
        ] {
            is_good(&parse(&json).unwrap());
        }
        let mut bytes = br#"{"name":"caf"#.to_vec();
        bytes.extend(b"\xe9\",");
        bytes.extend(&GOOD.as_bytes()[1..]);
        is_good(&TokenAnswer::parse(&bytes).unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for odd in ["{}", "[]", "true", "-1", "1.5", r#"["a","b"]"#, r#""a b\n""#, r#""\ud800""#] {
            let json = format!(
                r#"{{"access_token":"at","refresh_token":{odd},"token_type":{odd},"userType":{odd},"companyId":{odd},"locationId":{odd},"userId":{odd}}}"#
            );
            let answer = parse(&json).unwrap();
            assert!(answer.refresh_token.is_none() && answer.user_type.is_none(), "{odd}");
            assert!(answer.company_id.is_none() && answer.location_id.is_none(), "{odd}");
            for account in [Account::location("l").unwrap(), Account::company("c").unwrap()] {
                answer.check(&account).unwrap();
            }
        }
        for (id, read) in [
            ("7", "7"),
            ("[8]", "8"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            let answer = parse(&format!(r#"{{"access_token":"at","locationId":{id}}}"#)).unwrap();
            assert_eq!(answer.location_id.as_deref(), Some(read));
        }
        for scope in ["\"\"", "\" \"", "[]", "{}", "null", "7.5", "[{}]"] {
            assert!(
                parse(&format!(r#"{{"access_token":"a","scope":{scope}}}"#))
                    .unwrap()
                    .scopes
                    .is_none()
            );
        }
    }

    #[test]
    fn every_kind_of_expires_in() {
        let of = |raw: &str| {
            parse(&format!(r#"{{"access_token":"a","expires_in":{raw}}}"#))
                .unwrap()
                .lifetime
                .as_secs()
        };
        for (raw, seconds) in [
            ("3600", 3600),
            ("\"3600\"", 3600),
            ("3600.9", 3600),
            ("\"3600.0\"", 3600),
            ("0", 60),
            ("-0", 60),
            ("0.5", 60),
            ("-5", 60),
            ("\"-5\"", 60),
            ("1e99", 86_399),
            ("1e400", 86_399),
            ("99999999999999999999999999", 86_399),
            ("null", 86_399),
            ("\"soon\"", 86_399),
            ("true", 86_399),
            ("{}", 86_399),
            ("\"NaN\"", 86_399),
            ("\"inf\"", 86_399),
        ] {
            assert_eq!(of(raw), seconds, "{raw}");
        }
        assert_eq!(parse(r#"{"access_token":"a"}"#).unwrap().lifetime.as_secs(), 86_399);
    }

    #[test]
    fn without_a_usable_access_token_it_is_malformed_and_shows_nothing() {
        for json in [
            "",
            "[]",
            "{}",
            "null",
            "<html>planted</html>",
            r#"{"access_token":""}"#,
            r#"{"access_token":{}}"#,
            r#"{"access_token":"planted\nplanted"}"#,
            r#"{"access_token":"planté"}"#,
            r#"{"access_token":["planted","planted"]}"#,
            r#"{"access_token":"planted"#,
            r#"{"refresh_token":"planted"}"#,
        ] {
            let Err(error) = parse(json) else { panic!("{json}") };
            assert_eq!(error.code(), ErrorCode::MalformedResponse);
            assert!(!format!("{error:?}").contains("planted"));
        }
    }

    #[test]
    fn class_is_told_by_user_type_then_by_what_was_asked_then_by_the_ids() {
        let account = |json: &str, asked| parse(json).unwrap().account(asked);
        let both = r#"{"access_token":"a","userType":"Company","companyId":"c","locationId":"l"}"#;
        assert_eq!(account(both, Some(AccountKind::Location)).unwrap().as_str(), "company:c");
        for unknown in ["", r#""userType":null,"#, r#""userType":"Agency","#, r#""userType":7,"#] {
            let both =
                format!(r#"{{"access_token":"a",{unknown}"companyId":"c","locationId":"l"}}"#);
            assert_eq!(account(&both, Some(AccountKind::Company)).unwrap().as_str(), "company:c");
            assert_eq!(account(&both, None).unwrap().as_str(), "location:l");
            let company = format!(r#"{{"access_token":"a",{unknown}"companyId":"c"}}"#);
            assert_eq!(account(&company, None).unwrap().as_str(), "company:c");
            assert_eq!(
                account(&company, Some(AccountKind::Location)).unwrap().as_str(),
                "company:c"
            );
        }
        for nobody in [
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","userType":"Location","companyId":"c"}"#,
        ] {
            assert_eq!(account(nobody, None).unwrap_err().code(), ErrorCode::MalformedResponse);
        }
        let answer = parse(both).unwrap();
        let code = |account: Account| answer.check(&account).unwrap_err().code();
        assert_eq!(code(Account::location("l").unwrap()), ErrorCode::WrongTokenClass);
        assert_eq!(code(Account::company("d").unwrap()), ErrorCode::WrongAccount);
    }

    #[test]
    fn a_pair_of_someone_else_is_held_and_serves_nobody() {
        let account = Account::location("l").unwrap();
        let now = Timestamp(1_000_000);
        let before = Grant::new(account, "old")
            .with_refresh_token("spent")
            .with_expires_at(now.plus(Duration::from_secs(9)));
        let answer = || parse(&GOOD.replace("\"l\"", "\"other\"")).unwrap();
        let held = answer().into_held(&before, now, false);
        assert_eq!((held.access_token.expose(), held.expires_at), ("at", now));
        assert_eq!(held.refresh_token.as_ref().unwrap().expose(), "rt");
        let held = answer().into_held(&before, now, true);
        assert_eq!((held.access_token.expose(), held.expires_at), ("old", before.expires_at));
        assert_eq!(held.refresh_token.as_ref().unwrap().expose(), "rt");
    }

    /// JSON of any kind, with the members that matter among the names.
    fn anything() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1e999".to_owned()),
            Just(r#""\ud800""#.to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<f64>()
                .prop_filter("JSON has no other", |value| value.is_finite())
                .prop_map(|value| value.to_string()),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        leaf.prop_recursive(4, 16, 4, |inner| {
            let member = (any::<String>(), inner.clone()).prop_map(|(name, value)| {
                format!("{}:{value}", serde_json::to_string(&name).unwrap())
            });
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    /// What can stand where a token was expected, and is none.
    fn no_token() -> impl Strategy<Value = String> {
        anything().prop_filter("a usable token", |json| token(json).is_none())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever stands beside a usable pair, before and behind it, twice or in the other
        /// casing, it is found.
        #[test]
        fn every_answer_that_holds_a_usable_pair_is_taken(
            camel in any::<[bool; 2]>(),
            listed in any::<[bool; 2]>(),
            odd_tokens in prop::collection::vec((0..4usize, no_token()), 0..4),
            odd_members in prop::collection::vec((0..16usize, anything()), 0..8),
            unknown in prop::collection::vec((any::<String>(), anything()), 0..4),
            order in any::<prop::sample::Index>(),
            frame in 0..6usize,
        ) {
            let member = |name: &str, value: &str| format!("{}:{value}", serde_json::to_string(name).unwrap());
            let value = |text: &str, listed: bool| if listed { format!("[\"{text}\"]") } else { format!("\"{text}\"") };
            let mut members = vec![
                member(ACCESS_TOKEN[usize::from(camel[0])], &value("at.new_1", listed[0])),
                member(REFRESH_TOKEN[usize::from(camel[1])], &value("rt.new_1", listed[1])),
            ];
            let tokens = [ACCESS_TOKEN, REFRESH_TOKEN].concat();
            members.extend(odd_tokens.iter().map(|(name, json)| member(tokens[*name], json)));
            let others =
                [TOKEN_TYPE, EXPIRES_IN, SCOPE, USER_TYPE, COMPANY_ID, LOCATION_ID, USER_ID, ["error", "x"]].concat();
            members.extend(odd_members.iter().map(|(name, json)| member(others[*name], json)));
            let unknown = unknown.iter().filter(|(name, _)| !tokens.contains(&name.as_str()));
            members.extend(unknown.map(|(name, json)| member(name, json)));
            let middle = order.index(members.len());
            members.rotate_left(middle);
            let object = format!("{{{}}}", members.join(", "));
            let body = match frame {
                0 => format!("\u{feff}{object}"),
                1 => format!(" \n{object}\r\n"),
                2 => format!("{object}]}} and more"),
                3 => format!("[{object}]"),
                4 => format!("{{\"data\":{object}}}"),
                _ => object,
            };
            let answer = parse(&body).unwrap();
            prop_assert_eq!(answer.access_token.expose(), "at.new_1");
            prop_assert_eq!(answer.refresh_token.as_ref().map(Secret::expose), Some("rt.new_1"));
            prop_assert!(answer.lifetime >= SHORTEST && answer.lifetime.as_secs_f64() <= TEN_YEARS);
            for id in [&answer.company_id, &answer.location_id, &answer.user_id].into_iter().flatten() {
                prop_assert!(Account::location(id).is_ok());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..GOOD.len()) {
            let _ = TokenAnswer::parse(&bytes);
            let mixed = [&GOOD.as_bytes()[..cut], &bytes, &GOOD.as_bytes()[cut..]].concat();
            let _ = TokenAnswer::parse(&mixed);
        }
    }
}
