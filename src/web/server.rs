//! The HTTP server: binds, serves, and ends when it is told.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{
    App,
    dev::ServerHandle,
    http::KeepAlive,
    middleware::from_fn,
    web::{self, Data, JsonConfig, PathConfig, QueryConfig},
};
use utoipa_actix_web::AppExt;

use super::{
    error::{ApiError, json_error, path_error, query_error},
    guard::guard,
    kit::WebKit,
    routes::{openapi, routes},
};

/// How long open requests may take to end after the server was told to.
const GOODBYE: u64 = 2;

/// A server that runs.
pub struct HttpServer {
    handle: ServerHandle,
    /// Where it listens.
    pub address: SocketAddr,
}

impl HttpServer {
    /// Ends the server: no new requests, open ones have a moment.
    pub async fn stop(&self) {
        self.handle.stop(true).await;
    }
}

/// Opens the port, so that a failure is seen before anything else is started.
///
/// # Errors
/// When the address cannot be listened on.
pub fn bind(host: &str, port: u16) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((host, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl HttpServer {
    /// Serves on a port that was opened.
    ///
    /// # Errors
    /// When the port cannot be used.
    pub fn start(listener: std::net::TcpListener, kit: Arc<WebKit>, workers: usize) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let max_body = kit.settings.server.max_body;
        let kit = Data::from(kit);
        let spec = Data::new(openapi());
        let server = actix_web::HttpServer::new(move || {
            App::new()
                .wrap(from_fn(guard))
                .into_utoipa_app()
                .app_data(kit.clone())
                .app_data(spec.clone())
                .app_data(
                    JsonConfig::default().limit(max_body).error_handler(|error, _| json_error(&error).into()),
                )
                .app_data(QueryConfig::default().error_handler(|error, _| query_error(&error).into()))
                .app_data(PathConfig::default().error_handler(|error, _| path_error(&error).into()))
                .configure(routes)
                .into_app()
                .default_service(web::to(async || Err::<&str, _>(ApiError::not_found("route"))))
        })
        .workers(workers)
        // Answers are many small writes: waiting for acknowledgements would cost 40 ms each.
        .tcp_nodelay(true)
        .keep_alive(KeepAlive::Timeout(Duration::from_secs(75)))
        .shutdown_timeout(GOODBYE)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { handle, address })
    }
}
