//! `portico secrets status | rotate | generate`

use super::{Common, runtime};
use crate::{
    app::{self, Rotated},
    config::{Config, KeySource},
    seal::{KeyId, MasterKey, SealedBy},
};
use std::collections::BTreeSet;

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn status(common: &Common) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let (ring, retired, counts) = runtime()?.block_on(app::status(&config))?;
    for (index, id) in ring.iter().enumerate() {
        println!("master key {id}: {}", if index == 0 { "seals and opens" } else { "opens" });
    }
    let absent: BTreeSet<KeyId> = counts.iter().filter_map(|one| key(one.by)).filter(|id| !ring.contains(id)).collect();
    absent.iter().for_each(|id| println!("master key {id}: MISSING, and values are sealed under it"));
    retired.iter().for_each(|id| println!("master key {id}: replaced"));
    println!();
    for one in counts {
        let by = match one.by {
            Some(SealedBy::Key(id)) => format!("sealed under {id}"),
            Some(SealedBy::Unnamed) => "in the form of before keys had ids".to_owned(),
            None => "unreadable".to_owned(),
        };
        println!("{:>8} {} {by}", one.count, one.what);
    }
    Ok(())
}

const fn key(by: Option<SealedBy>) -> Option<KeyId> {
    match by {
        Some(SealedBy::Key(id)) => Some(id),
        _ => None,
    }
}

#[expect(clippy::print_stderr, reason = "how far it is goes to standard error")]
pub fn rotate(common: &Common, keep_old: bool) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let rotated = runtime()?.block_on(app::rotate(&config, keep_old, &mut |line| eprintln!("{line}")))?;
    tell(&config, rotated);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "how it ended is what the command is for")]
fn tell(config: &Config, rotated: Rotated) {
    match rotated {
        Rotated::Done(id) => {
            println!(
                "everything is sealed under master key {id}, and the old key is gone from {}",
                config.key_file().display()
            );
            println!(
                "Keep a copy of it in a safe place, apart from backups of the database. Backups from before open with the"
            );
            println!(
                "old key alone: keep that copy as long as you keep them. Cursors from before are answered 410 cursor_expired."
            );
        }
        Rotated::Kept(ids) => {
            let (active, old) = ids.split_first().map_or((None, &[][..]), |(active, old)| (Some(active), old));
            let active = active.map(KeyId::to_string).unwrap_or_default();
            println!("everything is sealed under master key {active}; still opening: {}", words(old));
            println!("A day later, when no cursor from before is in use any more: portico secrets rotate");
        }
        Rotated::TakeAway(old) => {
            let (place, next) = match config.keys.source {
                KeySource::Environment => ("the environment", "start the gateway again"),
                _ => ("what keys.command prints", "send the gateway SIGHUP"),
            };
            println!("nothing needs master key {} any more: take it out of {place}, and {next}", words(&old));
        }
    }
}

fn words(ids: &[KeyId]) -> String {
    ids.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}

#[expect(clippy::print_stdout, reason = "the key goes to standard output, and nothing else does")]
pub fn generate() -> anyhow::Result<()> {
    println!("{}", *MasterKey::generate()?.to_text());
    Ok(())
}
