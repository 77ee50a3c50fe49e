//! Routines: rendering to timers, event triggers, the osmoda-routines daemon.
