//! A local HoopAI.
