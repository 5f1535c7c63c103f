//! The index: rows in sled. The only module that names the database.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use sled::{Batch, Db, IVec, Mode};

use super::{
    archive::{Archive, node_count},
    error::io_error,
    layout::{self, FORMAT, Format, Mark, Pruned},
};
use namechain_core::{
    chain::{Before, Change, Following, StorageError, StoredHeader},
    codec::{Decode, Encode},
    consensus::HistoryNode,
    types::{Hash, Network},
};

/// What sled may keep of the rows in memory, in bytes. The state's tree is in memory anyway, so few
/// rows are hot.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How many rows may wait to be written together, and how many bytes of them. Blocks that are
/// fetched by the thousand each touch a few rows; sled syncs what it writes whether it is asked to
/// or not, and takes a batch of thousands as fast as one.
const WAITING_ROWS: usize = 4_096;
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How many headers go to the archive at a time.
const ARCHIVED_AT_ONCE: u32 = 4_096;

/// The index of one store.
pub(super) struct Index {
    path: PathBuf,
    db: Db,
    waiting: RwLock<Waiting>,
    archive: Archive,
    /// sled's own file once more, to sync it: see [`Index::sync`].
    file: File,
}

/// Rows of commits that need not be durable, which sled does not have yet: they go to it as one
/// batch, so that a crash undoes the last commits and never a part of one.
#[derive(Default)]
struct Waiting {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

/// What one commit writes and removes.
#[derive(Default)]
pub(super) struct Rows {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The last block of the log among those that the commit refers to.
    pub(super) last_block: Option<Mark>,
    /// How many heights are archived then, if that changes.
    archived: Option<u32>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index in `path`, or makes an empty one.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if it has to be made again from the log.
    pub(super) fn open(path: &Path, network: Network) -> Result<Self, StorageError> {
        wait_until_free(&path.join("db"))?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            // Measured with 3,000 blocks of 50 names, a flush each: twice HighThroughput's speed,
            // and as large.
            .mode(Mode::LowSpace)
            // Commits say when to flush.
            .flush_every_ms(None);
        // sled panics on some of the damage that it finds.
        let db = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| StorageError::Damaged("sled panicked while it opened the index".into()))?
            .map_err(|error| failed(path, error))?;
        let file_path = path.join("db");
        let file = File::options()
            .write(true)
            .open(&file_path)
            .map_err(|source| io_error("opening", &file_path, source))?;
        let archive = Archive::open(path, 0)?;
        let mut index = Index { path: path.into(), db, waiting: RwLock::default(), archive, file };
        index.check_format(network)?;
        if let Some(archived) = index.get(layout::ARCHIVED_KEY)? {
            index.archive = Archive::open(path, read_height(&archived)?)?;
        }
        Ok(index)
    }

    fn check_format(&self, network: Network) -> Result<(), StorageError> {
        let expected = Format::of(network);
        match self.read::<Format>(layout::FORMAT_KEY, "the format")? {
            None if self.db.is_empty() => {
                self.db
                    .insert(layout::FORMAT_KEY, expected.to_bytes())
                    .map_err(|error| self.failed(error))?;
                self.sync()
            }
            Some(found) if found == expected => Ok(()),
            Some(found) if found.version > FORMAT => Err(StorageError::Refused(format!(
                "{} was written by a newer version of this program (format {}, this one knows {FORMAT}): use that one",
                self.path.display(),
                found.version
            ))),
            _ => Err(StorageError::Damaged("the index is of another format or network".into())),
        }
    }

    /// The rows that `changes` come to.
    pub(super) fn rows(&self, changes: Vec<Change>) -> Result<Rows, StorageError> {
        let mut rows = Rows::default();
        let active = changes.iter().filter_map(|change| match change {
            Change::Active(height, _) => Some(*height),
            _ => None,
        });
        self.take_out_of_archive(active.min(), &mut rows)?;
        for change in changes {
            match change {
                Change::Header(stored) => rows.put_header(&stored),
                Change::Active(height, id) => {
                    rows.put(layout::active_key(height), id.map(|id| id.to_bytes()));
                }
                Change::Entry(key, entry) => rows.put(layout::entry_key(&key), entry),
                Change::Undo(height, key, old) => {
                    rows.put(
                        layout::undo_key(height, &key),
                        Some(layout::undo_value(old.as_deref())),
                    );
                }
                Change::DropUndo(height) => self.drop_undo(&mut rows, height)?,
                Change::NameHistory(key, height, touched) => {
                    rows.put(layout::touched_key(&key, height), touched.then(Vec::new));
                }
                Change::History(position, node) => {
                    rows.put(layout::history_key(position), Some(node.to_bytes()));
                }
                Change::Tip(id) => rows.put(layout::TIP_KEY.into(), Some(id.to_bytes())),
                Change::Following(following) => {
                    rows.put(layout::FOLLOWING_KEY.into(), Some(following.to_bytes()));
                }
                Change::Pending(id, operation) => rows.put(layout::pending_key(&id), operation),
            }
        }
        Ok(rows)
    }

    /// Moves the best chain's headers below `height` to the archive, and the history nodes that are
    /// about them alone. Everything that was committed must be on the disk.
    pub(super) fn archive_below(&self, height: u32) -> Result<(), StorageError> {
        while self.archive.len() < height {
            let from = self.archive.len();
            let to = height.min(from.saturating_add(ARCHIVED_AT_ONCE));
            let missing = || StorageError::Damaged(format!("the index lacks a header below {to}"));
            let mut rows = Rows { archived: Some(to), ..Rows::default() };
            rows.put(layout::ARCHIVED_KEY.into(), Some(to.to_be_bytes().to_vec()));
            let mut headers = Vec::new();
            for height in from..to {
                let id = self.active(height)?.ok_or_else(missing)?;
                headers.push(self.header(&id)?.ok_or_else(missing)?);
                rows.put(layout::active_key(height), None);
                rows.put(layout::header_key(height, &id), None);
                rows.put(layout::height_key(&id), None);
            }
            let mut nodes = Vec::new();
            for position in node_count(from)..node_count(to) {
                nodes.push(self.history(position)?.ok_or_else(missing)?);
                rows.put(layout::history_key(position), None);
            }
            self.archive.append(&headers, &nodes)?;
            self.apply(rows)?;
        }
        Ok(())
    }

    /// Before the best chain changes from `height` on: has the index say again what the archive
    /// said from there on.
    fn take_out_of_archive(
        &self,
        height: Option<u32>,
        rows: &mut Rows,
    ) -> Result<(), StorageError> {
        let archived = self.archive.len();
        let Some(height) = height.filter(|height| *height < archived) else { return Ok(()) };
        for height in height..archived {
            let Some(stored) = self.archive.header(height)? else { continue };
            rows.put(layout::active_key(height), Some(stored.id.to_bytes()));
            // The index has the header if something more is known of it.
            if self.get(&layout::height_key(&stored.id))?.is_none() {
                rows.put_header_rows(&stored);
            }
        }
        for position in node_count(height)..node_count(archived) {
            if let Some(node) = self.archive.node(position)? {
                rows.put(layout::history_key(position), Some(node.to_bytes()));
            }
        }
        rows.archived = Some(height);
        rows.put(layout::ARCHIVED_KEY.into(), Some(height.to_be_bytes().to_vec()));
        Ok(())
    }

    fn drop_undo(&self, rows: &mut Rows, height: u32) -> Result<(), StorageError> {
        let prefix = layout::undo_prefix(height);
        rows.writes.retain(|key, _| !key.starts_with(&prefix));
        // Taken first: a reader may have what waits written, and a row that goes over meanwhile
        // would be in neither place.
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        for key in self.db.scan_prefix(&prefix).keys() {
            rows.put(key.map_err(|error| self.failed(error))?.to_vec(), None);
        }
        for (key, _) in
            waiting.rows.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix))
        {
            rows.put(key.clone(), None);
        }
        Ok(())
    }

    /// Takes the rows, all of them or none: they are there for all who read. sled has them after
    /// [`Index::settle`].
    pub(super) fn apply(&self, rows: Rows) -> Result<(), StorageError> {
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(archived) = rows.archived {
            self.archive.set_len(archived);
        }
        for (key, value) in rows.writes {
            waiting.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            waiting.rows.insert(key, value);
        }
        if waiting.rows.len() < WAITING_ROWS && waiting.bytes < WAITING_BYTES {
            return Ok(());
        }
        self.write(&mut waiting)
    }

    /// Has sled take what waits.
    pub(super) fn settle(&self) -> Result<(), StorageError> {
        self.write(&mut self.waiting.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, waiting: &mut Waiting) -> Result<(), StorageError> {
        let Waiting { rows, .. } = std::mem::take(waiting);
        if rows.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(|error| self.failed(error))
    }

    /// What sled has, with what waited: for those who go through many rows.
    fn settled(&self) -> Result<&Db, StorageError> {
        self.settle().map(|()| &self.db)
    }

    /// Returns once all rows are on the disk. sled 0.34 asks Linux only to write the pages back
    /// (`sync_file_range`), which leaves out the file's size and the disk's cache: hence the second
    /// step.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.settled()?.flush().map_err(|error| self.failed(error))?;
        self.file.sync_data().map_err(|source| io_error("syncing", &self.path, source))
    }

    pub(super) fn mark(&self) -> Result<Option<Mark>, StorageError> {
        self.read(layout::MARK_KEY, "the mark")
    }

    pub(super) fn tip(&self) -> Result<Option<Hash>, StorageError> {
        self.read(layout::TIP_KEY, "the tip")
    }

    pub(super) fn active(&self, height: u32) -> Result<Option<Hash>, StorageError> {
        self.row_or_archived(
            || self.read(&layout::active_key(height), "an id"),
            || Ok(self.archive.header(height)?.map(|stored| stored.id)),
        )
    }

    /// What a row says, or the archive: heights move from one to the other and back meanwhile.
    fn row_or_archived<T>(
        &self,
        row: impl Fn() -> Result<Option<T>, StorageError>,
        archived: impl Fn() -> Result<Option<T>, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        loop {
            let before = self.archive.len();
            let found = match row()? {
                Some(found) => Some(found),
                None => archived()?,
            };
            if found.is_some() || self.archive.len() >= before {
                return Ok(found);
            }
        }
    }

    pub(super) fn header(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        self.row_or_archived(|| self.header_row(id), || self.archive.header_of(id))
    }

    fn header_row(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        let Some(height) = self.get(&layout::height_key(id))? else { return Ok(None) };
        let key = layout::header_key(read_height(&height)?, id);
        // It may have been archived in between.
        self.get(&key)?.map(|row| layout::stored_header(&key, &row)).transpose()
    }

    pub(super) fn headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        let mut headers = self.side_headers_from(height)?;
        let known: HashSet<Hash> = headers.iter().map(|stored| stored.id).collect();
        for height in height..self.archive.len() {
            let stored = self.archive.header(height)?;
            headers.extend(stored.filter(|stored| !known.contains(&stored.id)));
        }
        headers.sort_by_key(|stored| stored.header.height);
        Ok(headers)
    }

    /// As [`Index::headers_from`], but for those of the best chain that are archived.
    pub(super) fn side_headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        let rows = self.settled()?.range(layout::headers_key(height)..layout::HEADERS_END.to_vec());
        rows.map(|row| {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            layout::stored_header(&key, &value)
        })
        .collect()
    }

    pub(super) fn entry(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.get(&layout::entry_key(key))?.map(|entry| entry.to_vec()))
    }

    pub(super) fn entries(&self, each: &mut dyn FnMut(Hash, &[u8])) -> Result<(), StorageError> {
        for row in self.settled()?.scan_prefix(layout::ENTRIES) {
            let (key, entry) = row.map_err(|error| self.failed(error))?;
            each(layout::key_hash(&key)?, &entry);
        }
        Ok(())
    }

    pub(super) fn undo(
        &self,
        height: u32,
        key: &Hash,
    ) -> Result<Option<Option<Vec<u8>>>, StorageError> {
        self.get(&layout::undo_key(height, key))?.map(|row| layout::undo(&row)).transpose()
    }

    pub(super) fn undo_of(&self, height: u32) -> Result<Vec<Before>, StorageError> {
        let rows = self.settled()?.scan_prefix(layout::undo_prefix(height));
        rows.map(|row| {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            Ok((layout::key_hash(&key)?, layout::undo(&value)?))
        })
        .collect()
    }

    pub(super) fn touched(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        let rows = self.settled()?.scan_prefix(layout::touched_prefix(key)).keys();
        rows.map(|key| layout::touched_height(&key.map_err(|error| self.failed(error))?)).collect()
    }

    pub(super) fn history(&self, position: u64) -> Result<Option<HistoryNode>, StorageError> {
        self.row_or_archived(
            || self.read(&layout::history_key(position), "a node of the history range"),
            || self.archive.node(position),
        )
    }

    /// How many of the best chain's heights are archived, from 0 on.
    pub(super) fn archived(&self) -> u32 {
        self.archive.len()
    }

    /// What was deleted of the log.
    pub(super) fn pruned(&self) -> Result<Option<Pruned>, StorageError> {
        self.read(layout::PRUNED_KEY, "what was pruned")
    }

    /// Says, for good once this returns, what is left of the log.
    pub(super) fn set_pruned(&self, pruned: Pruned) -> Result<(), StorageError> {
        let mut rows = Rows::default();
        rows.put(layout::PRUNED_KEY.into(), Some(pruned.to_bytes()));
        self.apply(rows)?;
        self.sync()
    }

    pub(super) fn following(&self) -> Result<Option<Following>, StorageError> {
        self.read(layout::FOLLOWING_KEY, "how the chain was followed")
    }

    pub(super) fn pending(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        let rows = self.settled()?.scan_prefix(layout::PENDING).values();
        rows.map(|row| Ok(row.map_err(|error| self.failed(error))?.to_vec())).collect()
    }

    fn get(&self, key: &[u8]) -> Result<Option<IVec>, StorageError> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = waiting.rows.get(key) {
            return Ok(row.as_deref().map(IVec::from));
        }
        // Still under the lock: what waits must not be on its way.
        self.db.get(key).map_err(|error| self.failed(error))
    }

    fn read<T: Decode>(&self, key: &[u8], what: &str) -> Result<Option<T>, StorageError> {
        self.get(key)?.map(|bytes| layout::value(what, &bytes)).transpose()
    }

    /// Writes the format of a later version.
    #[cfg(test)]
    pub(super) fn pretend_newer(&self) {
        let newer = Format { version: FORMAT + 1, ..Format::of(Network::Dev) };
        self.db.insert(layout::FORMAT_KEY, newer.to_bytes()).unwrap();
        self.sync().unwrap();
    }

    fn failed(&self, error: sled::Error) -> StorageError {
        failed(&self.path, error)
    }
}

impl Rows {
    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.insert(key, value);
    }

    fn put_header(&mut self, stored: &StoredHeader) {
        self.put_header_rows(stored);
        // The genesis block is in no log.
        let mark = Mark { at: stored.at, id: stored.id };
        if stored.at.len > 0 && mark.is_after(self.last_block.as_ref()) {
            self.last_block = Some(mark);
        }
    }

    fn put_header_rows(&mut self, stored: &StoredHeader) {
        let height = stored.header.height;
        self.put(layout::height_key(&stored.id), Some(height.to_be_bytes().to_vec()));
        self.put(layout::header_key(height, &stored.id), Some(layout::header_value(stored)));
    }

    /// Has the commit say that the index refers to the log up to `mark`.
    pub(super) fn put_mark(&mut self, mark: &Mark) {
        self.put(layout::MARK_KEY.into(), Some(mark.to_bytes()));
    }
}

fn read_height(bytes: &[u8]) -> Result<u32, StorageError> {
    let height = bytes.try_into().map(u32::from_be_bytes);
    height.map_err(|_| StorageError::Damaged("a height of the index can't be read".into()))
}

/// Removes the index.
pub(super) fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error("removing", path, source))
        }
        _ => Ok(()),
    }
}

/// Moves a damaged index out of the way. The last one is kept, for whoever wants to know what
/// happened to it.
pub(super) fn set_aside(path: &Path) -> Result<(), StorageError> {
    let aside = path.with_extension("aside");
    remove(&aside)?;
    fs::rename(path, &aside).map_err(|source| io_error("setting aside", path, source))
}

/// Waits for sled's lock on its file. Its background threads may hold it for a moment after a
/// handle of this process was dropped; other processes are kept out by [`super::lock`].
fn wait_until_free(path: &Path) -> Result<(), StorageError> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => file.lock().map_err(|source| io_error("locking", path, source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error("opening", path, source)),
    }
}

fn failed(path: &Path, error: sled::Error) -> StorageError {
    match error {
        // sled's own words are those of a debugger.
        sled::Error::Io(source) => {
            io_error("using the index", path, io::Error::from(source.kind()))
        }
        error => StorageError::Damaged(format!("the index {}: {error}", path.display())),
    }
}
