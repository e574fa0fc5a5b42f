//! Blocks of the key-value cache, and the cache of prompt prefixes within them.
//!
//! A block is free, private to one sequence, or cached: cached blocks hold `block_size` tokens of a prompt, are found
//! by a hash over the prompt up to and including the block, and are shared by reference counts. A cached block that no
//! sequence uses counts as available and is evicted, least recently used first, when blocks run out.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The pool.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    size: u32,
    total: u32,
    caching: bool,
    private: u32,
    cached: HashMap<u64, Cached>,
    /// Cached blocks without a user by the time of their release.
    idle: BTreeMap<u64, u64>,
    releases: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    users: u32,
    /// Key in `idle` if there are no users.
    released: u64,
}

/// The blocks of one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Cached blocks by their hash, in the order of the prompt.
    shared: Vec<u64>,
    private: u32,
}

impl Lease {
    fn blocks(&self) -> u32 {
        self.shared.len() as u32 + self.private
    }
}

/// The hash of each full block of `tokens`, each covering everything before it as well.
pub(super) fn chain(tokens: &[u32], block_size: u32) -> Vec<u64> {
    let mut parent = 0_u64;
    tokens
        .chunks_exact(block_size as usize)
        .map(|block| {
            let mut hasher = DefaultHasher::new();
            (parent, block).hash(&mut hasher);
            parent = hasher.finish();
            parent
        })
        .collect()
}

impl Blocks {
    /// `total` blocks of `size` tokens (at least 1), all free.
    pub(super) fn new(total: u32, size: u32, caching: bool) -> Self {
        Self {
            size: size.max(1),
            total,
            caching,
            private: 0,
            cached: HashMap::new(),
            idle: BTreeMap::new(),
            releases: 0,
        }
    }

    /// Tokens a block.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Whether prompts are looked up at all.
    pub(super) fn caching(&self) -> bool {
        self.caching
    }

    /// Tokens that the whole pool holds.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.total) * u64::from(self.size)
    }

    /// Part of the pool that sequences use, 0 to 1.
    pub(super) fn usage(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        f64::from(self.total - self.available()) / f64::from(self.total)
    }

    /// Blocks that a sequence could take: free ones and idle cached ones.
    fn available(&self) -> u32 {
        self.total - self.private - (self.cached.len() - self.idle.len()) as u32
    }

    /// Blocks for a sequence of `tokens`, the prompt of which has these block hashes, and how many of the tokens are in
    /// the cache already. The last token is never taken from the cache: its computation gives the next one.
    /// `None`, and nothing is taken, if there are not enough blocks.
    pub(super) fn acquire(&mut self, hashes: &[u64], tokens: u32) -> Option<(Lease, u32)> {
        let most = if self.caching { (tokens.saturating_sub(1) / self.size) as usize } else { 0 };
        let shared: Vec<u64> =
            hashes.iter().take(most).copied().take_while(|hash| self.cached.contains_key(hash)).collect();
        let needed = tokens.div_ceil(self.size) - shared.len() as u32;
        let revived = shared.iter().filter(|hash| self.cached[hash].users == 0).count() as u32;
        if needed + revived > self.available() {
            return None;
        }
        for hash in &shared {
            self.share(*hash);
        }
        let mut lease = Lease { private: 0, shared };
        let cached = lease.blocks() * self.size;
        self.take(&mut lease, needed);
        Some((lease, cached))
    }

    /// Makes `lease` long enough for `tokens`; false, and nothing changes, if there are not enough blocks.
    pub(super) fn grow(&mut self, lease: &mut Lease, tokens: u32) -> bool {
        let needed = tokens.div_ceil(self.size).saturating_sub(lease.blocks());
        let enough = needed <= self.available();
        if enough {
            self.take(lease, needed);
        }
        enough
    }

    /// Puts the computed blocks of a prompt into the cache. A block that another sequence has put there meanwhile
    /// stays private.
    pub(super) fn publish(&mut self, lease: &mut Lease, hashes: &[u64]) {
        if !self.caching {
            return;
        }
        for hash in hashes.iter().skip(lease.shared.len()) {
            if self.cached.contains_key(hash) {
                // Later blocks stay private too: a lease's cached blocks are the head of its prompt.
                return;
            }
            self.cached.insert(*hash, Cached { users: 1, released: 0 });
            lease.shared.push(*hash);
            lease.private -= 1;
            self.private -= 1;
        }
    }

    /// Gives the blocks of a sequence back; its cached ones stay until they are evicted.
    pub(super) fn release(&mut self, lease: Lease) {
        self.private -= lease.private;
        // The tail goes first, so that it is evicted first: without its head a tail is never found.
        for hash in lease.shared.into_iter().rev() {
            if let Some(block) = self.cached.get_mut(&hash) {
                block.users -= 1;
                if block.users == 0 {
                    block.released = self.releases;
                    self.idle.insert(self.releases, hash);
                    self.releases += 1;
                }
            }
        }
    }

    fn share(&mut self, hash: u64) {
        if let Some(block) = self.cached.get_mut(&hash) {
            if block.users == 0 {
                self.idle.remove(&block.released);
            }
            block.users += 1;
        }
    }

    /// Takes `count` blocks that are known to be available.
    fn take(&mut self, lease: &mut Lease, count: u32) {
        for _ in 0..count {
            if self.private + self.cached.len() as u32 == self.total
                && let Some((_, hash)) = self.idle.pop_first()
            {
                self.cached.remove(&hash);
            }
            self.private += 1;
            lease.private += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(start: u32, count: u32) -> Vec<u32> {
        (start..start + count).collect()
    }

    /// Runs a prompt through the pool and gives it back; the tokens that came from the cache.
    fn visit(blocks: &mut Blocks, prompt: &[u32]) -> u32 {
        let hashes = chain(prompt, blocks.size());
        let (mut lease, cached) = blocks.acquire(&hashes, prompt.len() as u32).unwrap();
        blocks.publish(&mut lease, &hashes);
        blocks.release(lease);
        cached
    }

    #[test]
    fn hashes_cover_what_is_before() {
        let one = chain(&[1, 2, 3, 4, 5, 6, 7], 2);
        let other = chain(&[9, 2, 3, 4, 5, 6], 2);
        assert_eq!(one.len(), 3);
        assert!(one.iter().zip(&other).all(|(a, b)| a != b));
        assert_eq!(chain(&[1, 2, 3, 4], 2), one[..2]);
    }

    #[test]
    fn prefixes_are_found_block_by_block_but_for_the_last_token() {
        let mut blocks = Blocks::new(64, 4, true);
        assert_eq!(visit(&mut blocks, &tokens(0, 10)), 0);
        // Two full blocks of the ten tokens were cached.
        assert_eq!(visit(&mut blocks, &tokens(0, 40)), 8);
        assert_eq!(visit(&mut blocks, &tokens(0, 10)), 8);
        // All eight tokens are cached; the block of the last one is computed again.
        assert_eq!(visit(&mut blocks, &tokens(0, 8)), 4);
        assert_eq!(visit(&mut blocks, &tokens(1, 40)), 0);
        assert!(blocks.usage().abs() < 1e-12);
    }

    #[test]
    fn without_caching_nothing_is_found() {
        let mut blocks = Blocks::new(64, 4, false);
        assert_eq!(visit(&mut blocks, &tokens(0, 10)), 0);
        assert_eq!(visit(&mut blocks, &tokens(0, 10)), 0);
    }

    #[test]
    fn the_least_recently_used_tail_is_evicted_first() {
        let mut blocks = Blocks::new(6, 4, true);
        visit(&mut blocks, &tokens(0, 9)); // 2 cached, third block not full
        visit(&mut blocks, &tokens(100, 9)); // 2 cached
        visit(&mut blocks, &tokens(0, 9)); // the first is now the more recent one
        assert_eq!(visit(&mut blocks, &tokens(200, 12)), 0); // 3 blocks: 2 free ones and the tail of the second
        assert_eq!(visit(&mut blocks.clone(), &tokens(0, 9)), 8);
        assert_eq!(visit(&mut blocks, &tokens(100, 9)), 4);
    }

    #[test]
    fn blocks_in_use_are_not_evicted() {
        let mut blocks = Blocks::new(4, 4, true);
        let hashes = chain(&tokens(0, 8), 4);
        let (mut lease, _) = blocks.acquire(&hashes, 8).unwrap();
        blocks.publish(&mut lease, &hashes);
        assert!((blocks.usage() - 0.5).abs() < 1e-12);
        assert!(blocks.acquire(&[], 9).is_none());
        let (second, _) = blocks.acquire(&[], 8).unwrap();
        assert!(!blocks.grow(&mut lease, 9));
        blocks.release(second);
        assert!(blocks.grow(&mut lease, 9));
        assert!((blocks.usage() - 0.75).abs() < 1e-12);
    }

    #[test]
    fn idle_blocks_that_are_revived_do_not_count_twice() {
        let mut blocks = Blocks::new(3, 4, true);
        visit(&mut blocks, &tokens(0, 9)); // 2 cached and idle, 1 free
        let hashes = chain(&tokens(0, 13), 4);
        // Four blocks in a pool of three, although two are cached and three look available.
        assert!(blocks.acquire(&hashes, 13).is_none());
        let (lease, cached) = blocks.acquire(&hashes, 12).unwrap();
        assert_eq!((lease.blocks(), cached), (3, 8));
    }

    #[test]
    fn equal_prompts_in_one_step_are_both_computed() {
        let mut blocks = Blocks::new(8, 4, true);
        let prompt = tokens(0, 9);
        let hashes = chain(&prompt, 4);
        let (mut first, a) = blocks.acquire(&hashes, 9).unwrap();
        let (mut second, b) = blocks.acquire(&hashes, 9).unwrap();
        assert_eq!((a, b), (0, 0));
        blocks.publish(&mut first, &hashes);
        blocks.publish(&mut second, &hashes);
        assert_eq!(second, Lease { shared: vec![], private: 3 });
        blocks.release(first);
        blocks.release(second);
        assert_eq!(visit(&mut blocks, &prompt), 8);
    }
}
