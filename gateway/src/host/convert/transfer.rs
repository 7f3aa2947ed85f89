//! Where bulk bytes are, as a provider said it.
//!
//! Invariant: a download is a GET and an upload is a PUT or POST of exactly the bytes that were asked about; whether the place
//! may be reached is egress's to decide.

use super::sentence;
use crate::{
    host::trap::broken,
    model::{Error, Transfer, TransferAsked, TransferPlace},
};
use portico_bindings::portico::provider::types as guest;

const MAX_URL: usize = 8192;
/// What file systems take.
const MAX_FILE_NAME: usize = 255;

pub(in crate::host) fn transfer(asked: &TransferAsked, transfer: guest::Transfer) -> Result<Transfer, Error> {
    let (methods, bytes): (&[&str], _) = match asked {
        TransferAsked::BackupDownload { .. } => (&["GET"], None),
        TransferAsked::BlobUpload { size, .. } => (&["PUT", "POST"], Some(*size)),
    };
    if !methods.contains(&transfer.method.as_str()) {
        let (method, action) = (sentence(transfer.method, 32), asked.action().as_str());
        return Err(broken(format_args!("{action} is a request by {}, not {method:?}", methods.join(" or "))));
    }
    if let (Some(bytes), Some(said)) = (bytes, transfer.size)
        && bytes != said
    {
        return Err(broken(format_args!("an upload of {bytes} bytes can't have a size of {said}")));
    }
    Ok(Transfer {
        place: place(transfer.place)?,
        method: transfer.method,
        headers: transfer.headers,
        size: bytes.or(transfer.size),
        file_name: transfer.file_name.map(|name| sentence(name, MAX_FILE_NAME)),
    })
}

fn place(place: guest::TransferPlace) -> Result<TransferPlace, Error> {
    match place {
        guest::TransferPlace::Upstream(guest::UpstreamPath { upstream, path, query }) => {
            Ok(TransferPlace::Upstream { name: upstream, path, query })
        }
        guest::TransferPlace::Blob(url) if url.len() <= MAX_URL => Ok(TransferPlace::Blob(url)),
        guest::TransferPlace::Blob(_) => Err(broken(format_args!("a blob's URL has more than {MAX_URL} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_what_was_asked_for() {
        let down = TransferAsked::BackupDownload { site: "s".into(), backup: "b".into() };
        let up = TransferAsked::BlobUpload { site: "s".into(), plan: "p".into(), hash: "h".into(), size: 5 };
        for (asked, method, size, expected) in [
            (&down, "GET", None, Ok(None)),
            (&down, "GET", Some(9), Ok(Some(9))),
            (&down, "POST", None, Err(())),
            (&down, "get", None, Err(())),
            (&up, "PUT", None, Ok(Some(5))),
            (&up, "POST", Some(5), Ok(Some(5))),
            (&up, "PUT", Some(4), Err(())),
            (&up, "DELETE", None, Err(())),
            (&up, "GET", None, Err(())),
        ] {
            let said = guest::Transfer {
                place: guest::TransferPlace::Blob("https://blobs.example/x".into()),
                method: method.into(),
                headers: Vec::new(),
                size,
                file_name: None,
            };
            let converted = transfer(asked, said).map(|transfer| transfer.size);
            assert_eq!(converted.map_err(|_| ()), expected, "{asked:?} {method} {size:?}");
        }
        let long = guest::TransferPlace::Blob(format!("https://blobs.example/{}", "x".repeat(MAX_URL)));
        assert!(place(long).is_err());
    }
}
