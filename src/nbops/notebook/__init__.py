"""What a notebook is: its document, parameters, names and dataflow. Pure: no kernel, no MLflow."""
