"""The process of `zooter demo`. It guards the terminal before it imports Streamlit, whose loggers store stderr."""

from zooter_core.terminal import guard

if __name__ == "__main__":
    guard()

    from zooter_core.ui.server import serve

    serve()
