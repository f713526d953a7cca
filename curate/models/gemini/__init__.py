"""Gemini's protocol: generateContent."""
