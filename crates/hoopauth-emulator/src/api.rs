//! The API routes, and the checks every one of them makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::account::{Account, Class};
use crate::answer::answered_status;
use crate::fault::Endpoint;
use crate::limits::Standing;
use crate::refusal::Refusal;
use crate::request::{Caller, JSON, Parameters, check_edge, check_version, has_content_type, read};
use crate::shared::Shared;
use crate::state::{Contact, State};
use crate::tokens::{id, uuid};

pub(crate) async fn api(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = read(request).await;
    let account = {
        let mut state = shared.lock();
        state.counters.shown.api_requests += 1;
        Caller::name(&state, &parts.headers)
    };
    let answer = shared.attend(Endpoint::Api, || answer(&mut shared.lock(), &parts, &body)).await;
    shared.lock().counters.api_answer(&account, answered_status(&answer));
    answer
}

fn answer(state: &mut State, parts: &Parts, body: &[u8]) -> Response {
    let mut standing = Standing::unknown(state.clock.now_ms());
    let mut answer = match handle(state, parts, body, &mut standing) {
        Ok((status, mut value)) => {
            value["traceId"] = uuid().into();
            (status, Json(value)).into_response()
        }
        Err(refusal) => state.style(&parts.headers).refuse(&refusal),
    };
    standing.write(&state.settings, answer.headers_mut());
    answer
}

fn handle(
    state: &mut State,
    parts: &Parts,
    body: &[u8],
    standing: &mut Standing,
) -> Result<(StatusCode, Value), Refusal> {
    check_edge(state, &parts.headers)?;
    let segments: Vec<_> =
        parts.uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    check_segment(segments.first().copied().unwrap_or_default())?;
    check_version(&parts.headers)?;
    let caller = Caller::of(state, &parts.headers)?;
    let app = caller.app.map_or("", |app| &state.apps[app].client_id);
    *standing = state.limits.admit_api(
        app,
        caller.account.to_string(),
        state.clock.now_ms(),
        &state.settings,
    );
    if standing.exceeded {
        return Err(Refusal::too_many());
    }
    let operation = Operation::find(&parts.method, &segments).ok_or_else(|| {
        Refusal::api(404, format!("Cannot {} {}", parts.method, parts.uri.path()))
    })?;
    operation.check_class(caller.class())?;
    if let Some(scope) = operation.scope {
        caller.require_scope(scope)?;
    }
    let json = read_json(parts, body)?;
    let query = Parameters::of_query(parts);
    check_tenant(state, &caller, &operation, &query, &json)?;
    run(state, &caller, &operation, &Received { parts, query: &query, body, json })
}

/// One row of the table of operations.
struct Operation<'a> {
    run: Run<'a>,
    class: Option<Class>,
    scope: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Run<'a> {
    Echo,
    ListContacts,
    CreateContact,
    Contact(&'a str),
    UpdateContact(&'a str),
    DeleteContact(&'a str),
    Empty(&'static str),
    Company(&'a str),
    SearchLocations,
    Location(&'a str),
}

impl<'a> Operation<'a> {
    fn find(method: &Method, segments: &[&'a str]) -> Option<Self> {
        use Class::{Company, Location};
        let (run, class, scope) = match (method.as_str(), segments) {
            (_, ["echo", ..]) => (Run::Echo, None, ""),
            ("GET", ["contacts"]) => (Run::ListContacts, Some(Location), "contacts.readonly"),
            ("POST", ["contacts"]) => (Run::CreateContact, Some(Location), "contacts.write"),
            ("GET", ["contacts", id]) => (Run::Contact(id), Some(Location), "contacts.readonly"),
            ("PUT", ["contacts", id]) => (Run::UpdateContact(id), Some(Location), "contacts.write"),
            ("DELETE", ["contacts", id]) => {
                (Run::DeleteContact(id), Some(Location), "contacts.write")
            }
            ("GET", ["calendars"]) => {
                (Run::Empty("calendars"), Some(Location), "calendars.readonly")
            }
            ("GET", ["conversations", "search"]) => {
                (Run::Empty("conversations"), Some(Location), "conversations.readonly")
            }
            ("GET" | "POST", ["opportunities", "search"]) => {
                (Run::Empty("opportunities"), Some(Location), "opportunities.readonly")
            }
            ("GET", ["companies", id]) => (Run::Company(id), Some(Company), "companies.readonly"),
            ("GET", ["locations", "search"]) => (Run::SearchLocations, None, "locations.readonly"),
            ("GET", ["locations", id]) => (Run::Location(id), None, "locations.readonly"),
            _ => return None,
        };
        Some(Self { run, class, scope: (!scope.is_empty()).then_some(scope) })
    }

    fn check_class(&self, class: Class) -> Result<(), Refusal> {
        match (self.class, class) {
            (Some(Class::Location), Class::Company) => Err(Refusal::api(401, WRONG_AUTH_CLASS)),
            (Some(Class::Company), Class::Location) => {
                Err(Refusal::api(401, "Token's user type mismatch!"))
            }
            _ => Ok(()),
        }
    }
}

/// A request after all checks.
struct Received<'a> {
    parts: &'a Parts,
    query: &'a Parameters,
    body: &'a [u8],
    json: Value,
}

/// Paths begin with the name of what they are about, never with a version.
fn check_segment(first: &str) -> Result<(), Refusal> {
    let digits = first.strip_prefix('v').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::api(400, format!("Invalid API version segment {first}")));
    }
    Ok(())
}

fn read_json(parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    if !matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(Value::Null);
    }
    if !has_content_type(&parts.headers, JSON) {
        return Err(Refusal::api(415, "Content-Type must be application/json"));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|_| Refusal::api(400, "The body is not JSON"))
}

/// Every id the request names must be the caller's own.
fn check_tenant(
    state: &State,
    caller: &Caller,
    operation: &Operation<'_>,
    query: &Parameters,
    json: &Value,
) -> Result<(), Refusal> {
    let path_location = if let Run::Location(id) = operation.run { Some(id) } else { None };
    let path_company = if let Run::Company(id) = operation.run { Some(id) } else { None };
    let locations = [query.value("location_id"), json["locationId"].as_str(), path_location];
    let companies = [query.value("company_id"), json["companyId"].as_str(), path_company];
    locations.into_iter().flatten().try_for_each(|id| caller.require_location(state, id))?;
    companies.into_iter().flatten().try_for_each(|id| caller.require_company(state, id))
}

fn run(
    state: &mut State,
    caller: &Caller,
    operation: &Operation<'_>,
    received: &Received<'_>,
) -> Result<(StatusCode, Value), Refusal> {
    let value = match operation.run {
        Run::Echo => echo(caller, received),
        Run::ListContacts => list_contacts(state, caller, received.query)?,
        Run::CreateContact => {
            let mut fields = received.json.as_object().cloned().unwrap_or_default();
            let id = id();
            fields.insert("id".into(), id.as_str().into());
            fields.insert("locationId".into(), caller.account.id().into());
            let contact = Contact { location_id: caller.account.id().into(), fields };
            let shown = json!({ "contact": contact.fields });
            state.contacts.insert(id, contact);
            return Ok((StatusCode::CREATED, shown));
        }
        Run::Contact(id) => json!({ "contact": own_contact(state, caller, id)?.fields }),
        Run::UpdateContact(id) => {
            let contact = own_contact(state, caller, id)?;
            let changes = received.json.as_object().cloned().unwrap_or_default();
            contact.fields.extend(changes.into_iter().filter(|(name, _)| name != "id"));
            json!({ "succeded": true, "contact": contact.fields })
        }
        Run::DeleteContact(id) => {
            own_contact(state, caller, id)?;
            state.contacts.remove(id);
            json!({ "succeded": true })
        }
        Run::Empty(name) => json!({ name: [], "total": 0 }),
        Run::Company(id) => {
            json!({ "company": { "id": id,
                "name": state.companies.get(id).map(|company| &company.name) } })
        }
        Run::SearchLocations => search_locations(state, caller, received.query)?,
        Run::Location(id) => json!({ "location": show_location(state, id) }),
    };
    Ok((StatusCode::OK, value))
}

/// Shows the request that came in, `Authorization` included: it is an emulator.
fn echo(caller: &Caller, received: &Received<'_>) -> Value {
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in &received.parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    let body = match &received.json {
        Value::Null => String::from_utf8_lossy(received.body).into(),
        json => json.clone(),
    };
    json!({
        "account": caller.account,
        "method": received.parts.method.as_str(),
        "path": received.parts.uri.path(),
        "query": received.parts.uri.query(),
        "headers": headers,
        "body": body,
    })
}

fn list_contacts(state: &State, caller: &Caller, query: &Parameters) -> Result<Value, Refusal> {
    let own =
        || state.contacts.values().filter(|contact| *contact.location_id == *caller.account.id());
    let limit = query.number("limit", 20)?.min(100);
    let shown: Vec<_> = own().take(limit).map(|contact| &contact.fields).collect();
    Ok(json!({ "contacts": shown, "count": own().count() }))
}

fn own_contact<'s>(
    state: &'s mut State,
    caller: &Caller,
    id: &str,
) -> Result<&'s mut Contact, Refusal> {
    let contact =
        state.contacts.get_mut(id).ok_or_else(|| Refusal::api(404, "Contact not found"))?;
    if *contact.location_id != *caller.account.id() {
        return Err(Refusal::api(403, "This location is not accessible from this token!"));
    }
    Ok(contact)
}

fn search_locations(state: &State, caller: &Caller, query: &Parameters) -> Result<Value, Refusal> {
    let (skip, limit) = (query.number("skip", 0)?, query.number("limit", 20)?.min(100));
    let shown: Vec<_> = match &caller.account {
        Account::Location(id) => vec![show_location(state, id)],
        Account::Company(id) => {
            let ids = state.companies.get(id).map_or(&[][..], |company| &company.locations);
            ids.iter().skip(skip).take(limit).map(|id| show_location(state, id)).collect()
        }
    };
    Ok(json!({ "locations": shown }))
}

fn show_location(state: &State, id: &str) -> Value {
    let mut shown = Map::new();
    if let Some(location) = state.locations.get(id) {
        shown.insert("id".into(), id.into());
        shown.insert("name".into(), location.name.as_str().into());
        shown.insert("companyId".into(), (*location.company_id).into());
    }
    shown.into()
}

/// The platform's sentence goes on; how is not known.
const WRONG_AUTH_CLASS: &str =
    "This authClass type is not allowed to access this scope. Use another token.";
