//! What a misspelt key was meant to be.

/// The known key that `key` was probably meant to be.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(key, candidate);
    let close = known
        .iter()
        .copied()
        .min_by_key(distance)
        .filter(|candidate| distance(candidate) <= 1.max(candidate.len() / 3));
    // `stall` for `stall_secs`: far in letters, but clear.
    let begins = |candidate: &&str| candidate.starts_with(key) || key.starts_with(*candidate);
    close.or_else(|| known.iter().copied().find(begins))
}
