//! Files that hold secrets, written as a whole or not at all.
//!
//! In goes a name, and what the file should hold; out comes the file, durably. Invariant: nobody reads it who couldn't read the
//! one that was there before, and whoever could still can; a draft is its writer's alone until it is like that one; what can't be
//! written leaves everything as it was.

use anyhow::{Context as _, bail};
use rustix::{
    fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr},
    io::Errno,
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// The attribute in which a file has its list of further readers (`setfacl`).
const ACCESS_LIST: &str = "system.posix_acl_access";
/// Longer than any list that people keep.
const MOST_OF_LIST: usize = 4096;

/// Writes a file that only its owner can read.
pub fn write(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    put(file, content, None)
}

/// The same where another user's file may be: it keeps its owner, its group, its mode and its access list, and a link to it stays
/// one.
pub fn replace(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let Some(real) = behind(file)? else { return write(file, content) };
    let before = File::open(&real).with_context(|| format!("can't read {}", real.display()))?;
    put(&real, content, Some(&before))
}

/// The folder that a file is in.
pub fn folder(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file itself, where its name is a link. None: nothing has this name yet.
fn behind(file: &Path) -> anyhow::Result<Option<PathBuf>> {
    match file.canonicalize() {
        Ok(real) => Ok(Some(real)),
        Err(error) if error.kind() == ErrorKind::NotFound && file.symlink_metadata().is_err() => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{} is a link to a file that isn't there: lay that file, or take the link away", file.display())
        }
        Err(error) => Err(error).with_context(|| format!("can't find {}", file.display())),
    }
}

fn put(file: &Path, content: &[u8], before: Option<&File>) -> anyhow::Result<()> {
    let path = draft_of(file)?;
    let written = draft(&path, before).and_then(|draft| publish(draft, &path, file, content));
    let failed = written.err().map(|error| match fs::remove_file(&path) {
        Err(left) if left.kind() != ErrorKind::NotFound => {
            error.context(format!("take {} away, which may hold a secret: {left}", path.display()))
        }
        _ => error,
    });
    failed.map_or(Ok(()), |error| Err(error.context(format!("can't write {}", file.display()))))
}

fn draft_of(file: &Path) -> anyhow::Result<PathBuf> {
    let mut name = file.file_name().with_context(|| format!("{} names no file", file.display()))?.to_owned();
    name.push(".draft");
    Ok(folder(file).join(name))
}

/// Always another file: what a crash left may be open to others, and what somebody laid there may lead elsewhere.
fn draft(path: &Path, before: Option<&File>) -> anyhow::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} is in the way", path.display()));
        }
        _ => {}
    }
    let draft = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    before.map_or(Ok(()), |before| make_like(&draft, before))?;
    Ok(draft)
}

/// The owner first: until then nobody else can read it, and there is nothing in it.
fn make_like(draft: &File, before: &File) -> anyhow::Result<()> {
    let (now, then) = (draft.metadata()?, before.metadata()?);
    let (user, group) = (then.uid(), then.gid());
    if (now.uid(), now.gid()) != (user, group) {
        fchown(draft, Some(user), Some(group))
            .with_context(|| format!("it belongs to user {user} and group {group}: run this as that user, or as root"))?;
    }
    // The list before the mode, whose bits for the group are the most of what a list allows.
    keep_list(draft, before).context("can't keep its access list")?;
    Ok(draft.set_permissions(then.permissions())?)
}

/// Where the other one has no list, this one has none either: the folder may give one to whatever is made in it.
fn keep_list(draft: &File, before: &File) -> rustix::io::Result<()> {
    let mut list = [0_u8; MOST_OF_LIST];
    match fgetxattr(before, ACCESS_LIST, &mut list) {
        Ok(length) => fsetxattr(draft, ACCESS_LIST, &list[..length], XattrFlags::empty()),
        Err(error) if is_no_list(error) => match fremovexattr(draft, ACCESS_LIST) {
            Err(error) if !is_no_list(error) => Err(error),
            _ => Ok(()),
        },
        Err(error) => Err(error),
    }
}

/// There is none, or the file system knows none.
fn is_no_list(error: Errno) -> bool {
    matches!(error, Errno::NODATA | Errno::NOTSUP)
}

fn publish(mut draft: File, path: &Path, file: &Path, content: &[u8]) -> anyhow::Result<()> {
    draft.write_all(content)?;
    draft.sync_all()?;
    fs::rename(path, file)?;
    // The name is as durable as the content only when the folder is, too.
    Ok(File::open(folder(file))?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().mode() & 0o777
    }

    /// A folder with a file in it of this mode, and a link to that.
    fn laid(mode: u32) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let (file, link) = (outer.path().join("key"), outer.path().join("link"));
        write(&file, b"old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        symlink("key", &link).unwrap();
        (outer, file, link)
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_replaced_keeps_its_mode_and_a_link_stays_one() {
        for kept in [0o600, 0o640, 0o400] {
            let (outer, file, link) = laid(kept);
            replace(&link, b"new").unwrap();
            assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"new".to_vec(), kept));
            assert_eq!(fs::read_link(&link).unwrap(), Path::new("key"));
            assert_eq!(count(outer.path()), 2, "a draft is left");
        }
    }

    #[test]
    fn what_is_replaced_keeps_its_owner() {
        let (_outer, file, _) = laid(0o640);
        if let Err(error) = std::os::unix::fs::chown(&file, Some(12_345), Some(54_321)) {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            eprintln!("not tried, since this user can't give files away: {error}");
            return;
        }
        replace(&file, b"new").unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!((after.uid(), after.gid(), mode(&file)), (12_345, 54_321, 0o640));
    }

    /// For the owner, user 12345, the group, the mask, and all others: a kind, what is allowed, and an id.
    fn list() -> Vec<u8> {
        let entries: [(u16, u16, u32); 5] = [(1, 6, !0), (2, 4, 12_345), (4, 0, !0), (16, 4, !0), (32, 0, !0)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (kind, allowed, id) in entries {
            list.extend(kind.to_le_bytes().into_iter().chain(allowed.to_le_bytes()).chain(id.to_le_bytes()));
        }
        list
    }

    #[test]
    fn what_is_replaced_takes_no_list_of_its_folder() {
        let (outer, file, _) = laid(0o640);
        let folder = File::open(outer.path()).unwrap();
        if let Err(error) = fsetxattr(folder, "system.posix_acl_default", &list(), XattrFlags::empty()) {
            assert_eq!(error, Errno::NOTSUP);
            eprintln!("not tried, since this file system has no access lists: {error}");
            return;
        }
        replace(&file, b"new").unwrap();
        let mut found = [0_u8; MOST_OF_LIST];
        assert_eq!(fgetxattr(File::open(&file).unwrap(), ACCESS_LIST, &mut found), Err(Errno::NODATA));
        assert_eq!(mode(&file), 0o640);
    }

    #[test]
    fn what_is_replaced_keeps_its_access_list() {
        let (_outer, file, _) = laid(0o640);
        let list = list();
        if let Err(error) = fsetxattr(File::open(&file).unwrap(), ACCESS_LIST, &list, XattrFlags::empty()) {
            assert_eq!(error, Errno::NOTSUP);
            eprintln!("not tried, since this file system has no access lists: {error}");
            return;
        }
        replace(&file, b"new").unwrap();
        let mut kept = [0_u8; MOST_OF_LIST];
        let length = fgetxattr(File::open(&file).unwrap(), ACCESS_LIST, &mut kept).unwrap();
        assert_eq!(kept[..length], list);
    }

    #[test]
    fn what_cannot_be_replaced_is_as_it_was() {
        let (outer, file, link) = laid(0o640);
        let before = fs::metadata(&file).unwrap();
        let in_the_way = outer.path().join("key.draft");
        fs::create_dir(&in_the_way).unwrap();
        let error = format!("{:#}", replace(&file, b"new").unwrap_err());
        assert!(error.contains("can't write") && error.contains("is in the way"), "{error}");
        fs::remove_dir(&in_the_way).unwrap();
        assert_eq!((fs::read(&file).unwrap(), fs::metadata(&file).unwrap().ino()), (b"old".to_vec(), before.ino()));
        fs::remove_file(&file).unwrap();
        let error = replace(&link, b"new").unwrap_err().to_string();
        assert!(error.contains("a link to a file that isn't there"), "{error}");
        assert_eq!(count(outer.path()), 1, "the link alone");
    }

    #[test]
    fn what_lies_in_the_place_of_a_draft_is_not_written_to() {
        let (outer, file, _) = laid(0o600);
        let (other, planted) = (outer.path().join("other"), outer.path().join("key.draft"));
        fs::write(&other, "other").unwrap();
        symlink(&other, &planted).unwrap();
        write(&file, b"new").unwrap();
        assert_eq!([&other, &file].map(|file| fs::read_to_string(file).unwrap()), ["other", "new"]);
        // A crash left one that others may read.
        fs::write(&planted, "").unwrap();
        fs::set_permissions(&planted, Permissions::from_mode(0o666)).unwrap();
        write(&file, b"newer").unwrap();
        assert_eq!((mode(&file), planted.exists()), (0o600, false));
    }
}
