//! Headers without their blocks: what it takes to check the next one.

use super::{
    Chain,
    headers::BlockIndexEntry,
    pow_checked::PowCheckedHeader,
    storage::{StorageError, StoredHeader, best_header, best_history},
};
use crate::{
    consensus::{
        History, HistoryNode, RuleViolation,
        header::{Ancestors, check_header_with_ancestors},
    },
    params::Params,
    types::{Hash, Header},
};

/// The end of a chain of headers, with what the check of the next one may know. It costs some
/// hundred bytes, however long the chain is.
#[derive(Clone, Debug)]
pub struct Ancestry {
    params: &'static Params,
    id: Hash,
    header: Header,
    work: u128,
    history: History,
}

impl Ancestry {
    /// The id of the last header.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The last header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The summed work up to and with the last header, in expected hashes.
    pub fn work(&self) -> u128 {
        self.work
    }

    /// The root of the history range over all headers up to and with the last: what the next one
    /// has to carry.
    pub fn history_root(&self) -> Hash {
        self.history.root(self.params.network)
    }

    /// Whether `header` may follow: its place, times and history, not its work. Cheap: look
    /// at this before the work.
    ///
    /// # Errors
    /// The rule that it breaks. One that names another header as previous is the caller's mistake,
    /// and breaks no rule here.
    pub fn check(&self, header: &Header) -> Result<(), RuleViolation> {
        check_header_with_ancestors(
            self.params,
            header,
            Ancestors { parent: &self.header, history: &self.history },
        )
    }

    /// Goes on to a header that may follow and has its work.
    ///
    /// # Errors
    /// The rule that it breaks; the end stays where it is.
    pub fn extend(&mut self, next: &PowCheckedHeader) -> Result<(), RuleViolation> {
        self.extend_unchecked(next.id(), next.header())
    }

    /// As [`Ancestry::extend`], for a header with this id whose work is being looked at: nothing
    /// that follows from this end may be believed before that has come out well. So the next
    /// headers can be asked for meanwhile.
    ///
    /// # Errors
    /// The rule that it breaks; the end stays where it is.
    pub fn extend_unchecked(&mut self, id: Hash, next: &Header) -> Result<(), RuleViolation> {
        self.check(next)?;
        let leaf = HistoryNode::of_header(self.params, &id, next);
        self.history.push(self.params.network, leaf);
        self.work = self.work.saturating_add(leaf.work);
        (self.id, self.header) = (id, next.clone());
        Ok(())
    }

    fn from_entry(params: &'static Params, id: Hash, entry: &BlockIndexEntry) -> Self {
        let history = entry.history.clone();
        Ancestry { params, id, header: entry.header.clone(), work: entry.work, history }
    }
}

impl Chain {
    /// The chain of headers that ends with the block `id`: of any recent block whose rules were not
    /// broken, and of the best chain's at any depth. `None` for all others.
    ///
    /// # Errors
    /// The store's.
    pub fn ancestry(&self, id: &Hash) -> Result<Option<Ancestry>, StorageError> {
        if let Some(known) = self.headers.get(id) {
            return Ok((!known.failed).then(|| Ancestry::from_entry(self.params, *id, known)));
        }
        let Some(StoredHeader { header, work, failed: false, .. }) = self.storage.header(id)?
        else {
            return Ok(None);
        };
        if self.storage.active(header.height)? != Some(*id) {
            return Ok(None);
        }
        // The headers kept in memory begin far above: this one has no recent branch, only the best
        // chain.
        let history = best_history(&*self.storage, u64::from(header.height) + 1)?;
        Ok(Some(Ancestry { params: self.params, id: *id, header, work, history }))
    }

    /// Ids of the best chain's blocks from the tip down to the genesis block: the last ten, then
    /// ever further apart, at most 42. Whoever has any of them knows where the two chains part.
    ///
    /// # Errors
    /// The store's.
    pub fn locator(&self) -> Result<Vec<Hash>, StorageError> {
        let mut height = self.tip_header().height;
        let (mut ids, mut step) = (Vec::new(), 1);
        loop {
            ids.push(best_header(&*self.storage, height)?.id);
            if height == 0 {
                return Ok(ids);
            }
            if ids.len() >= 10 {
                step *= 2;
            }
            height = height.saturating_sub(step);
        }
    }

    /// The height of a block of the best chain, at any depth.
    ///
    /// # Errors
    /// The store's.
    pub fn best_chain_height(&self, id: &Hash) -> Result<Option<u32>, StorageError> {
        let Some(stored) = self.storage.header(id)? else { return Ok(None) };
        let height = stored.header.height;
        Ok((self.storage.active(height)? == Some(*id)).then_some(height))
    }

    /// The summed work up to and with the block `id`, if it is kept and is not known to break a
    /// rule.
    ///
    /// # Errors
    /// The store's.
    pub fn chain_work(&self, id: &Hash) -> Result<Option<u128>, StorageError> {
        if let Some(known) = self.headers.get(id) {
            return Ok((!known.failed).then_some(known.work));
        }
        Ok(self.storage.header(id)?.filter(|stored| !stored.failed).map(|stored| stored.work))
    }

    /// The height of the best chain's block from which the chain that ends with the kept block `id`
    /// departs: its own if it is on the best chain. `None` if that lies too deep to be known.
    ///
    /// # Errors
    /// The store's.
    pub fn fork_height_of(&self, id: &Hash) -> Result<Option<u32>, StorageError> {
        match self.fork_height(id)? {
            Some(height) => Ok(Some(height)),
            None => self.best_chain_height(id),
        }
    }

    /// The block of most summed work beside the best chain, of those recent ones that are kept and
    /// not known to break a rule: its id, height and summed work.
    pub fn second_best(&self) -> Option<(Hash, u32, u128)> {
        let (id, known) = self.headers.heaviest_of(|id, known| {
            self.recent_at(known.header.height).is_none_or(|recent| recent.id != *id)
                && known.header.height >= self.recent_base()
        })?;
        Some((id, known.header.height, known.work))
    }

    /// Whether the block `id` is kept, on the best chain or beside it, whatever became of it.
    ///
    /// # Errors
    /// The store's.
    pub fn has_block(&self, id: &Hash) -> Result<bool, StorageError> {
        Ok(self.headers.get(id).is_some() || self.storage.header(id)?.is_some())
    }

    /// Whether the block `id` is known to break a rule, or to follow one that does.
    pub fn has_failed(&self, id: &Hash) -> bool {
        self.headers.get(id).is_some_and(|known| known.failed)
    }
}
