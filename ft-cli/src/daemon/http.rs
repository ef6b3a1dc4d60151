//! Two pages over plain HTTP, for whoever watches the server: `/metrics` and `/health`.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Metrics;
use crate::limits::{ACCEPT_PAUSE, WATCHER_TIME, WATCHERS};
use crate::net::accept;

/// Answers until it is dropped.
pub(super) async fn serve(listeners: Vec<TcpListener>, metrics: Arc<Metrics>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = accept(&listeners), if open.len() < WATCHERS => match accepted {
                Ok((stream, _)) => {
                    let metrics = Arc::clone(&metrics);
                    open.spawn(timeout(WATCHER_TIME, async move {
                        let service = service_fn(|request| {
                            let response = answer(&request, &metrics);
                            async { Ok::<_, Infallible>(response) }
                        });
                        let served = http1::Builder::new()
                            .keep_alive(false)
                            .max_buf_size(16 * 1024)
                            .serve_connection(TokioIo::new(stream), service);
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a watcher's connection");
                        }
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<String> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics.text()),
        (&Method::GET, "/health") => (StatusCode::OK, "serving\n".into()),
        (&Method::GET, _) => (StatusCode::NOT_FOUND, "there are /metrics and /health\n".into()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
