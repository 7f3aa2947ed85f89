//! `portico-proxy ADDRESS`: a bare hyper reverse proxy for the server at that address.
//!
//! Out comes its own address on stdout. It is what a call through a provider is compared with: the same runtime, a pooled client,
//! and each request sent on as it came. Invariant: nothing is looked at, changed, limited or counted.

use anyhow::{Context, Result};
use http::{Request, Uri, uri::Authority};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::net::TcpListener;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the script that starts this reads the address")]
async fn main() -> Result<()> {
    let upstream: Authority = std::env::args().nth(1).context("usage: portico-proxy ADDRESS")?.parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        tokio::spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let mut parts = std::mem::take(request.uri_mut()).into_parts();
                (parts.scheme, parts.authority) = (Some(http::uri::Scheme::HTTP), Some(upstream.clone()));
                let client = client.clone();
                async move {
                    *request.uri_mut() = Uri::from_parts(parts)?;
                    Ok::<_, anyhow::Error>(client.request(request).await?)
                }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that goes away is the end of its connection and nothing more.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
