//! Fair queueing: those who wait are served in turn, one of each at a time, however many of one's own wait.
//!
//! In go items under keys; out they come, the keys in turn and each key's own in the order in which they came. Invariant: who joins waits
//! for at most as many of any other as of its own and one more, so nobody's queue makes another's longer than that. It knows no
//! clock, and is small: what waits is looked through, not indexed.

use std::collections::{VecDeque, vec_deque};

pub struct Fair<K, T> {
    /// In the order of turns; none is empty.
    lines: VecDeque<Line<K, T>>,
}

struct Line<K, T> {
    key: K,
    items: VecDeque<T>,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self { lines: VecDeque::new() }
    }
}

impl<K: Copy + Eq, T> Fair<K, T> {
    pub fn len(&self) -> usize {
        self.lines.iter().map(|line| line.items.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn push(&mut self, key: K, item: T) {
        match self.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => line.items.push_back(item),
            None => self.lines.push_back(Line { key, items: [item].into() }),
        }
    }

    pub fn front(&self) -> Option<&T> {
        self.lines.front()?.items.front()
    }

    pub fn pop(&mut self) -> Option<T> {
        let mut line = self.lines.pop_front()?;
        let item = line.items.pop_front();
        if !line.items.is_empty() {
            self.lines.push_back(line);
        }
        item
    }

    /// Takes out the front, and leaves the turn to whoever is next under its key.
    pub fn discard_front(&mut self) -> Option<T> {
        let item = self.lines.front_mut()?.items.pop_front();
        self.lines.retain(|line| !line.items.is_empty());
        item
    }

    /// How many would be served before an item that joined under this key now.
    pub fn ahead(&self, key: K) -> usize {
        let place = self.lines.iter().position(|line| line.key == key);
        let own = place.map_or(0, |place| self.lines[place].items.len());
        let before = |index: usize| place.is_none_or(|place| index < place);
        self.lines.iter().enumerate().map(|(index, line)| line.items.len().min(own + usize::from(before(index)))).sum::<usize>()
    }

    /// Goes through all in the order in which they are served; nothing leaves before [`Fair::part`].
    pub fn walk<R>(&self) -> Walk<'_, T, R> {
        let lines = self.lines.iter().map(|line| line.items.iter()).enumerate().collect();
        Walk { lines, verdicts: self.lines.iter().map(|_| Vec::new()).collect() }
    }

    /// Takes out those for which a walk to the end found a reason.
    pub fn part<R>(&mut self, verdicts: Verdicts<R>) -> Vec<(T, R)> {
        let lines = self.lines.iter_mut().zip(verdicts.0);
        let taken = lines.flat_map(|(line, verdicts)| line.split(verdicts)).collect();
        self.lines.retain(|line| !line.items.is_empty());
        taken
    }

    /// How many wait under this key.
    pub fn of(&self, key: K) -> usize {
        self.lines.iter().find(|line| line.key == key).map_or(0, |line| line.items.len())
    }

    /// How many wait under the key that has the most.
    pub fn longest(&self) -> usize {
        self.lines.iter().map(|line| line.items.len()).max().unwrap_or(0)
    }

    /// Takes out the last of the key that has the most.
    pub fn pop_longest(&mut self) -> Option<T> {
        let longest = self.lines.iter_mut().max_by_key(|line| line.items.len())?;
        let item = longest.items.pop_back();
        self.lines.retain(|line| !line.items.is_empty());
        item
    }
}

/// What a walk found of each, line by line.
pub struct Verdicts<R>(Vec<Vec<Option<R>>>);

pub struct Walk<'a, T, R> {
    /// In the order of turns, with what is left of each.
    lines: VecDeque<(usize, vec_deque::Iter<'a, T>)>,
    verdicts: Vec<Vec<Option<R>>>,
}

impl<T, R> Walk<'_, T, R> {
    /// Asks of those whose turn it is, until one stays, which is the one that is served. False: there is nobody left.
    pub fn step(&mut self, mut leaves: impl FnMut(&T) -> Option<R>) -> bool {
        while let Some((line, mut items)) = self.lines.pop_front() {
            for item in items.by_ref() {
                let reason = leaves(item);
                let stays = reason.is_none();
                self.verdicts[line].push(reason);
                if stays {
                    self.lines.push_back((line, items));
                    return true;
                }
            }
        }
        false
    }

    pub fn end(self) -> Verdicts<R> {
        Verdicts(self.verdicts)
    }
}

impl<K, T> Line<K, T> {
    /// Those with a reason to leave, in order; the others stay in theirs.
    fn split<R>(&mut self, verdicts: Vec<Option<R>>) -> Vec<(T, R)> {
        let mut taken = Vec::new();
        for (item, verdict) in std::mem::take(&mut self.items).into_iter().zip(verdicts) {
            match verdict {
                Some(reason) => taken.push((item, reason)),
                None => self.items.push_back(item),
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lines: &[(char, usize)]) -> Fair<char, String> {
        let mut queue = Fair::default();
        for (key, count) in lines {
            (0..*count).for_each(|number| queue.push(*key, format!("{key}{number}")));
        }
        queue
    }

    fn served(queue: &mut Fair<char, String>) -> String {
        std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_served_in_turn_and_each_in_order() {
        let mut queue = queue(&[('a', 4), ('b', 1), ('c', 2)]);
        assert_eq!((queue.len(), queue.front().map(String::as_str)), (7, Some("a0")));
        assert_eq!(served(&mut queue), "a0 b0 c0 a1 c1 a2 a3");
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    #[test]
    fn who_is_discarded_takes_no_turn() {
        let mut queue = queue(&[('a', 2), ('b', 1)]);
        assert_eq!(queue.discard_front().as_deref(), Some("a0"));
        assert_eq!(queue.discard_front().as_deref(), Some("a1"));
        assert_eq!(served(&mut queue), "b0");
        assert_eq!(queue.discard_front(), None);
    }

    #[test]
    fn what_is_ahead_is_what_is_served_before() {
        for taken in 0..8 {
            for key in ['a', 'b', 'c', 'd'] {
                let mut queue = queue(&[('a', 5), ('b', 1), ('c', 2)]);
                (0..taken).for_each(|_| drop(queue.pop()));
                let ahead = queue.ahead(key);
                queue.push(key, "new".to_owned());
                let place = served(&mut queue).split(' ').position(|item| item == "new");
                assert_eq!(place, Some(ahead), "{key} after {taken}");
            }
        }
    }

    /// Those that leave, those that stay in the order in which they were asked, and those that are served then.
    fn parted(queue: &mut Fair<char, String>, leaves: &[&str]) -> [String; 3] {
        let (mut stay, mut walk) = (Vec::new(), queue.walk());
        while walk.step(|item| {
            let leaves = leaves.contains(&item.as_str()).then_some(());
            stay.extend(leaves.is_none().then(|| item.clone()));
            leaves
        }) {}
        let (verdicts, stay) = (walk.end(), stay.join(" "));
        let taken: Vec<String> = queue.part(verdicts).into_iter().map(|(item, ())| item).collect();
        [taken.join(" "), stay, served(queue)]
    }

    #[test]
    fn who_stays_is_asked_in_the_order_of_service_whoever_leaves() {
        for leaves in [&[][..], &["a0"], &["a0", "a1"], &["a1", "c0"], &["b0"], &["a0", "a1", "a2"], &["c1", "a2"]] {
            let [taken, stay, served] = parted(&mut queue(&[('a', 3), ('b', 1), ('c', 2)]), leaves);
            assert_eq!(stay, served, "{leaves:?}");
            assert_eq!(taken.split(' ').filter(|item| !item.is_empty()).count(), leaves.len(), "{taken}");
        }
    }

    #[test]
    fn the_longest_line_gives_up_its_last() {
        let mut queue = queue(&[('a', 3), ('b', 1)]);
        assert_eq!((queue.longest(), queue.of('a'), queue.of('b'), queue.of('c')), (3, 3, 1, 0));
        assert_eq!(queue.pop_longest().as_deref(), Some("a2"));
        assert_eq!(served(&mut queue), "a0 b0 a1");
        assert_eq!((queue.longest(), queue.pop_longest()), (0, None));
    }
}
