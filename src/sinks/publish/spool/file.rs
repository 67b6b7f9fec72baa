//! The spool's file: its tables, transactions and faults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use super::QueueLimit;

/// What is kept of an event: its id, its route (`gate/line_crossing`) and the text.
pub(super) type Kept = (&'static str, &'static str, &'static str);

/// Sink and order → what is sent.
pub(super) const PENDING: TableDefinition<(&str, u64), Kept> = TableDefinition::new("pending");

/// Camera → sequence number of its newest event.
pub(super) const SEQUENCES: TableDefinition<&str, u64> = TableDefinition::new("sequences");

/// What is known about the file itself.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("about");

/// What an event takes beside its text: key, length, its share of a page.
const OVERHEAD_BYTES: u64 = 64;

/// Memory for pages of the file: it is written in order and read once.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Damaged files that are kept.
const MAX_BAD: u32 = 3;

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its folder cannot be made.
    #[error("{folder}: the folder for waiting events cannot be made")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "{file}: another gantryd writes its events there; each needs an output.folder of its own"
    )]
    Taken {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{file}: waiting events cannot be read or written; is the disk full?")]
    Storage {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
}

/// Is it the content of the file that is wrong, rather than the disk or the rights?
pub(super) fn is_damaged(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted => true,
        redb::Error::Io(error) => matches!(error.kind(), InvalidData | UnexpectedEof),
        _ => false,
    }
}

/// Gives `file` another name, `….bad1` to `….bad3`; the last is overwritten where there are three.
pub(super) fn set_aside(file: &Path) -> std::io::Result<PathBuf> {
    let named = |number: u32| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".bad{number}"));
        PathBuf::from(name)
    };
    let free = (1..MAX_BAD).find(|number| !named(*number).exists());
    let aside = named(free.unwrap_or(MAX_BAD));
    std::fs::rename(file, &aside)?;
    Ok(aside)
}

/// Makes the tables, deletes what waits for sinks that are no more, and gives the word of the file.
pub(super) fn prepare(database: &Database, limits: &[QueueLimit]) -> Result<String, redb::Error> {
    let (mut word, mut foreign) = (String::new(), BTreeSet::new());
    write(database, |transaction| {
        let mut about = transaction.open_table(ABOUT)?;
        let known = about.get("instance")?.map(|it| it.value().to_owned());
        word = known.unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)));
        about.insert("instance", word.as_str())?;
        transaction.open_table(SEQUENCES)?;
        let mut pending = transaction.open_table(PENDING)?;
        pending.retain(|(sink, _), _| {
            let is_known = limits.iter().any(|limit| limit.sink == sink);
            if !is_known {
                foreign.insert(sink.to_owned());
            }
            is_known
        })?;
        Ok(())
    })?;
    for sink in foreign {
        tracing::warn!(
            sink,
            "deleted what waited for a sink that is no longer configured"
        );
    }
    Ok(word)
}

/// Deletes the oldest event of `sink` later than `after`; gives its size.
pub(super) fn remove_oldest(
    pending: &mut redb::Table<'_, (&'static str, u64), Kept>,
    sink: &str,
    after: u64,
) -> Result<Option<u64>, redb::Error> {
    let oldest = {
        let mut all = pending.range((sink, after + 1)..=(sink, u64::MAX))?;
        all.next().transpose()?.map(|(key, _)| key.value().1)
    };
    let Some(order) = oldest else {
        return Ok(None);
    };
    let removed = pending.remove((sink, order))?;
    Ok(removed.map(|value| size(sink, value.value())))
}

pub(super) fn size(sink: &str, (id, route, text): (&str, &str, &str)) -> u64 {
    let text = (sink.len() + id.len() + route.len() + text.len()) as u64;
    text + OVERHEAD_BYTES
}

/// One transaction, on the disk when this returns.
pub(super) fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    work(&transaction)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn open_database(file: &Path) -> Result<Database, SpoolError> {
    let opened = Database::builder().set_cache_size(CACHE_BYTES).create(file);
    opened.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => SpoolError::Taken {
            file: file.to_owned(),
        },
        other => storage(file, other.into()),
    })
}

pub(super) fn storage(file: &Path, source: redb::Error) -> SpoolError {
    SpoolError::Storage {
        file: file.to_owned(),
        source: Box::new(source),
    }
}
