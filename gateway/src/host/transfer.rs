//! Calls that ask where bulk bytes are.
//!
//! In go ids, a hash and a size; out comes the one request that moves the bytes. Invariant: the call only reads. What follows is
//! sent by egress on the host's behalf, and neither this room nor the guest sees a byte of it.

use super::{
    CallContext, Configured, Host,
    call::{Running, ask},
    convert,
    meter::Asked,
};
use crate::model::{Error, Transfer, TransferAsked};
use std::sync::Arc;

pub(super) async fn transfer(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    asked: &TransferAsked,
    context: &CallContext,
) -> Result<Transfer, Error> {
    let running = Running::start(host, on, Asked::Action(asked.action()), context).await?;
    let (running, answer) = match asked {
        TransferAsked::BackupDownload { site, backup } => ask!(running, backups.call_download(site, backup)),
        TransferAsked::BlobUpload { site, plan, hash, size } => {
            ask!(running, deployments.call_upload(site, plan, hash, *size))
        }
    };
    running.rest();
    convert::transfer(asked, answer)
}
