use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use axum::http::header::DATE;
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::answer::NoAnswer;
use crate::shared::Shared;
use crate::webhook::control_http as webhooks;
use crate::{api, authorize, control_http, installed_locations, location_token, token};

/// Accepts connections until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stop: oneshot::Receiver<()>,
) {
    let routes = Service { routes: TowerToHyperService::new(routes(Arc::clone(&shared))), shared };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, routes.clone()))),
            // Out of file descriptors, most likely: let some requests end first.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

/// The service that answers the requests, and the clock that dates the answers.
#[derive(Clone)]
struct Service {
    routes: TowerToHyperService<Router>,
    shared: Arc<Shared>,
}

async fn connection(stream: TcpStream, service: Service) {
    let _ = stream.set_nodelay(true);
    let Service { routes, shared } = service;
    let service = service_fn(|request: Request<Incoming>| {
        let answer = routes.call(request);
        let shared = &shared;
        async {
            let mut answer = answer.await.unwrap_or_else(|never: Infallible| match never {});
            if let Some(date) = shared.lock().clock.http_date() {
                answer.headers_mut().entry(DATE).or_insert(date);
            }
            match answer.extensions().get::<NoAnswer>() {
                Some(no_answer) => Err(*no_answer),
                None => Ok(answer),
            }
        }
    });
    // An error means that the client left, or that a fault broke the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn routes(shared: Arc<Shared>) -> Router {
    let page = get(authorize::page).post(authorize::decide);
    Router::new()
        .route("/oauth/chooselocation", page.clone())
        .route("/v2/oauth/chooselocation", page)
        .route("/oauth/token", post(token::token))
        .route("/oauth/locationToken", post(location_token::location_token))
        .route("/oauth/location-token", post(location_token::location_token))
        .route("/oauth/installedLocations", get(installed_locations::installed_locations))
        .route("/oauth/installed-locations", get(installed_locations::installed_locations))
        .nest("/control", control_http::routes().merge(webhooks::routes()))
        .fallback(api::api)
        .with_state(shared)
}
