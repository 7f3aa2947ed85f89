//! The cache of compiled components on disk.
//!
//! In go a component's hash and its compiled code; out comes the code again after a restart. Invariant: what is read was
//! written by a gateway with this key, under this name; anything else is as good as absent. Errors cost time, never a start:
//! they are logged, and the component is compiled again.

use crate::{
    model::{Error, Kind},
    seal::Sealer,
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

const TAG: usize = 32;

pub(super) struct Artifacts {
    folder: PathBuf,
    sealer: Arc<Sealer>,
    /// Of the engine: code of another wasmtime, configuration or processor has another name.
    compatibility: u64,
}

impl Artifacts {
    /// Makes the folder if need be, and refuses one that others could write into.
    pub(super) fn open(folder: &Path, sealer: Arc<Sealer>, compatibility: u64) -> Result<Self, Error> {
        let path = folder.display();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| unusable(format!("the folder {path} for compiled components could not be made: {error}")))?;
        let facts = std::fs::symlink_metadata(folder)
            .map_err(|error| unusable(format!("the folder {path} for compiled components could not be read: {error}")))?;
        if !facts.is_dir() {
            return Err(unusable(format!("{path}, for compiled components, is not a folder; name another one")));
        }
        if facts.uid() != rustix::process::geteuid().as_raw() {
            return Err(unusable(format!("the folder {path} belongs to another user; remove it, or name another one")));
        }
        if facts.mode() & 0o077 != 0 {
            return Err(unusable(format!("others may enter the folder {path}; run: chmod 700 {path}")));
        }
        Ok(Self { folder: folder.to_owned(), sealer, compatibility })
    }

    pub(super) fn read(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let name = self.name(hash);
        let path = self.folder.join(&name);
        let mut entry = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut entry)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), "a compiled component could not be read, and is compiled again: {error}");
                return None;
            }
        }
        let verified =
            entry.split_first_chunk::<TAG>().is_some_and(|(tag, code)| self.sealer.verify_artifact(&name, code, tag));
        if !verified {
            // The tag doesn't say under which key it was made.
            let what = "a compiled component is from before the master key was replaced, or was changed, and is compiled again";
            tracing::warn!(path = %path.display(), "{what}: after `portico secrets rotate` this is as it should be, once for each");
            return None;
        }
        Some(entry.split_off(TAG))
    }

    pub(super) fn write(&self, hash: &[u8; 32], code: &[u8]) {
        let name = self.name(hash);
        let path = self.folder.join(&name);
        let tagged = self.sealer.tag_artifact(&name, code).map_err(std::io::Error::other);
        if let Err(error) = tagged.and_then(|tag| self.replace(&path, &tag, code)) {
            tracing::warn!(path = %path.display(), "a compiled component could not be kept: {error}");
        }
    }

    /// By renaming, so that a reader sees the whole entry or none.
    fn replace(&self, path: &Path, tag: &[u8; TAG], code: &[u8]) -> std::io::Result<()> {
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(tag)?;
        file.write_all(code)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    }

    fn name(&self, hash: &[u8; 32]) -> String {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hash}-{:016x}.cwasm", self.compatibility)
    }
}

fn unusable(text: String) -> Error {
    Error::new(Kind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn artifacts(folder: &Path, key: u8, compatibility: u64) -> Artifacts {
        Artifacts::open(folder, Arc::new(Sealer::new(&[key; 32]).unwrap()), compatibility).unwrap()
    }

    #[test]
    fn entries_open_under_the_same_key_hash_and_engine_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("cache");
        let cache = artifacts(&folder, 1, 7);
        cache.write(&[1; 32], b"code");
        assert_eq!(cache.read(&[1; 32]).as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.read(&[2; 32]), None);
        assert_eq!(artifacts(&folder, 2, 7).read(&[1; 32]), None);
        assert_eq!(artifacts(&folder, 1, 8).read(&[1; 32]), None);
        // A sealed entry under another component's name is foreign, too.
        std::fs::copy(folder.join(cache.name(&[1; 32])), folder.join(cache.name(&[3; 32]))).unwrap();
        assert_eq!(cache.read(&[3; 32]), None);
    }

    #[test]
    fn a_changed_entry_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = artifacts(&folder.path().join("cache"), 1, 7);
        cache.write(&[1; 32], b"code");
        let path = cache.folder.join(cache.name(&[1; 32]));
        let whole = std::fs::read(&path).unwrap();
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert_eq!(cache.read(&[1; 32]), None, "byte {index}");
        }
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(cache.read(&[1; 32]), None);
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let sealer = Arc::new(Sealer::new(&[1; 32]).unwrap());
        let error = Artifacts::open(folder.path(), sealer, 7).err().unwrap();
        assert!(error.message.contains("chmod 700"), "{error}");
    }
}
