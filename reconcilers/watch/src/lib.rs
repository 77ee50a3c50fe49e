//! Watchers and the switch API: the osmoda-watch daemon.
